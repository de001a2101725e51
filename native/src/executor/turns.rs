//! The event loop's side of an executor: what libuv watches for it while it is the event loop's shift.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use crate::constants::{BUSY_TURNS, SHIFT_WINDOW};
use crate::event_loop::{AfterCall, Doorbell, Environment, LoopTimer, Readiness, Target, after_calls};
use crate::executor::tasks::{Executor, Turn};
use crate::failure::Result;

struct Handles {
    begin: Doorbell,
    readiness: Readiness,
    timer: LoopTimer,
}

/// Only the thread of the event loop uses it.
pub struct LoopSide {
    executor: Arc<Executor>,
    handles: RefCell<Option<Handles>>,
    watches: Cell<bool>,
    window: Cell<(Instant, u32)>,
}

impl LoopSide {
    pub fn open(executor: &Arc<Executor>, environment: Environment) -> Result<Rc<LoopSide>> {
        let side = Rc::new(LoopSide {
            executor: Arc::clone(executor),
            handles: RefCell::default(),
            watches: Cell::new(false),
            window: Cell::new((Instant::now(), 0)),
        });
        let target = |look: bool| {
            let side: Weak<LoopSide> = Rc::downgrade(&side);
            Target::Native(Box::new(move || {
                if let Some(side) = side.upgrade() {
                    side.turn(look);
                }
            }))
        };
        // The end of the environment ends the endpoint first, and with it all that is here.
        let nothing = || Box::new(|| {});
        let begin = Doorbell::open(environment, target(true), nothing())?;
        let readiness = match Readiness::open(environment, target(true), executor.reactor.fd(), nothing()) {
            Ok(readiness) => readiness,
            Err(error) => {
                begin.close();
                return Err(error);
            }
        };
        let timer = match LoopTimer::open(environment, target(false), nothing()) {
            Ok(timer) => timer,
            Err(error) => {
                readiness.close();
                begin.close();
                return Err(error);
            }
        };
        // SAFETY: `close` takes the bell back before the doorbell is closed.
        let bell = unsafe { begin.bell() };
        executor.shift.announce_with(Some(Box::new(move || bell.ring())));
        *side.handles.borrow_mut() = Some(Handles { begin, readiness, timer });
        after_calls(&side);
        Ok(side)
    }

    /// One turn, if it is the event loop's shift.
    fn turn(&self, look: bool) {
        if !self.executor.shift.is_event_loops() {
            return;
        }
        let handles = self.handles.borrow();
        let Some(handles) = handles.as_ref() else { return };
        let now = Instant::now();
        let busy = match self.executor.turn(look, now) {
            Turn::Busy => true,
            Turn::AfterCalls => false,
            Turn::Until(due) => {
                match due {
                    Some(due) => handles.timer.start(due.saturating_duration_since(Instant::now())),
                    None => handles.timer.stop(),
                }
                self.is_frequent(now)
            }
        };
        if busy {
            self.leave(handles);
        } else if !self.watches.replace(true) {
            handles.readiness.start();
        }
    }

    /// Many small turns are much to do as well.
    fn is_frequent(&self, now: Instant) -> bool {
        let (since, turns) = self.window.get();
        if now.duration_since(since) >= SHIFT_WINDOW {
            self.window.set((now, 1));
            return false;
        }
        self.window.set((since, turns + 1));
        turns >= BUSY_TURNS
    }

    fn leave(&self, handles: &Handles) {
        if self.watches.replace(false) {
            handles.readiness.stop();
        }
        handles.timer.stop();
        self.executor.shift.leave_to_thread();
    }

    /// Before the QUIC thread is joined: it is its shift until the end.
    pub fn end(&self) {
        if let Some(handles) = self.handles.borrow().as_ref() {
            self.leave(handles);
        }
        self.executor.shift.end();
    }

    /// After the QUIC thread was joined.
    pub fn close(&self) {
        self.executor.shift.announce_with(None);
        if let Some(handles) = self.handles.borrow_mut().take() {
            handles.readiness.close();
            handles.timer.close();
            handles.begin.close();
        }
    }
}

impl AfterCall for LoopSide {
    fn after_call(&self) -> bool {
        let called = self.executor.take_call();
        if called {
            self.turn(false);
        }
        called
    }

    fn put_off(&self) {
        if self.executor.take_call() {
            self.executor.reactor.interrupt();
        }
    }
}
