//! Whose shift it is: the QUIC thread's, or the event loop's.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use crate::lock::{lock, wait_while};

/// Tells the event loop, from the QUIC thread.
type Announce = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    /// The event loop takes no more shifts.
    ending: bool,
    /// Absent where there is no event loop.
    announce: Option<Announce>,
}

#[derive(Default)]
pub struct Shift {
    state: Mutex<State>,
    changed: Condvar,
    /// Changes under the lock of `state`.
    event_loop: AtomicBool,
    /// What only the QUIC thread should do goes on: handshakes.
    holds: AtomicUsize,
}

impl Shift {
    pub fn announce_with(&self, announce: Option<Announce>) {
        lock(&self.state).announce = announce;
    }

    pub fn is_event_loops(&self) -> bool {
        self.event_loop.load(Ordering::Acquire)
    }

    pub fn is_held(&self) -> bool {
        self.holds.load(Ordering::Relaxed) > 0
    }

    pub fn hold(&self) {
        self.holds.fetch_add(1, Ordering::Relaxed);
    }

    pub fn release(&self) {
        self.holds.fetch_sub(1, Ordering::Relaxed);
    }

    /// From the QUIC thread: hands over, and comes back when it is its turn again. At once when nobody takes over.
    pub fn leave_to_event_loop(&self) {
        let state = lock(&self.state);
        if state.ending || state.announce.is_none() {
            return;
        }
        self.event_loop.store(true, Ordering::Release);
        if let Some(announce) = &state.announce {
            announce();
        }
        drop(wait_while(&self.changed, state, |_| self.is_event_loops()));
    }

    /// From the thread of the event loop.
    pub fn leave_to_thread(&self) {
        let _state = lock(&self.state);
        self.event_loop.store(false, Ordering::Release);
        self.changed.notify_one();
    }

    /// From the thread of the event loop: `leave_to_thread`, for good.
    pub fn end(&self) {
        lock(&self.state).ending = true;
        self.leave_to_thread();
    }
}
