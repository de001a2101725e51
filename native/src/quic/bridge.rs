//! What the two threads of an endpoint share, and how JavaScript wakes tasks of the QUIC thread: wakers are
//! collected, and one wake of the pump task (one system call) a burst wakes them all.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use crate::quic::mailbox::{Mailbox, Notice, lock};
use crate::quic::queue::BlockPool;

pub struct Bridge {
    pub mailbox: Mailbox,
    pub blocks: BlockPool,
    /// High water mark of the send queue of a stream, in bytes.
    pub stream_send_queue: usize,
    /// Most bytes of a connection that are sent and not acknowledged, plus what waits to be sent.
    pub send_window: u64,
    /// Initials that were answered with Retry.
    pub retries: AtomicU64,
    sleepers: Mutex<Vec<Waker>>,
    pump: Mutex<Option<Waker>>,
    pumping: AtomicBool,
}

impl Bridge {
    pub fn new(stream_send_queue: usize, send_window: u64) -> Self {
        Bridge {
            mailbox: Mailbox::new(),
            blocks: BlockPool::default(),
            stream_send_queue,
            send_window,
            retries: AtomicU64::new(0),
            sleepers: Mutex::default(),
            pump: Mutex::default(),
            pumping: AtomicBool::new(false),
        }
    }

    /// From the JavaScript thread: wakes a task of the QUIC thread.
    pub fn wake(&self, sleeper: Option<Waker>) {
        let Some(sleeper) = sleeper else { return };
        lock(&self.sleepers).push(sleeper);
        if !self.pumping.swap(true, Ordering::AcqRel) {
            let pump = lock(&self.pump).take();
            if let Some(pump) = pump {
                pump.wake();
            }
        }
    }

    /// The pump task: runs until the runtime ends.
    pub async fn pump(&self) {
        poll_fn(|context| self.poll_pump(context)).await
    }

    fn poll_pump(&self, context: &mut Context<'_>) -> Poll<()> {
        *lock(&self.pump) = Some(context.waker().clone());
        // Cleared before the list is emptied: a waker pushed later wakes the pump again.
        self.pumping.swap(false, Ordering::AcqRel);
        let sleepers = std::mem::take(&mut *lock(&self.sleepers));
        for sleeper in sleepers {
            sleeper.wake();
        }
        Poll::Pending
    }
}

/// Held by every task of the QUIC thread: a panic in one is told to JavaScript and never swallowed.
pub struct PanicWatch(pub std::sync::Arc<Bridge>);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .mailbox
                .notice(Notice::Panicked("a task of the QUIC thread panicked; standard error has the place".into()));
        }
    }
}
