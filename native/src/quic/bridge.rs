//! What the two threads of an endpoint share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::executor::Executor;
use crate::quic::mailbox::{Mailbox, Notice};
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
    pub executor: Arc<Executor>,
}

impl Bridge {
    pub fn new(executor: Arc<Executor>, stream_send_queue: usize, send_window: u64) -> Self {
        Bridge {
            mailbox: Mailbox::new(),
            blocks: BlockPool::default(),
            stream_send_queue,
            send_window,
            retries: AtomicU64::new(0),
            executor,
        }
    }
}

/// Held by every task of the QUIC thread: a panic in one is told to JavaScript and never swallowed.
pub struct PanicWatch(pub Arc<Bridge>);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .mailbox
                .notice(Notice::Panicked("a task of the QUIC thread panicked; standard error has the place".into()));
        }
    }
}
