//! Points in time that tasks wait for, in milliseconds like epoll's.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::executor::Executor;
use crate::lock::lock;
use crate::quic::lib_alias::AsyncTimer;

/// Names tell apart what is due at the same time.
type Key = (Instant, u64);

#[derive(Default)]
pub struct Timers {
    waiting: Mutex<BTreeMap<Key, Waker>>,
    next: AtomicU64,
}

impl Timers {
    /// When the first one is due.
    pub fn first(&self) -> Option<Instant> {
        lock(&self.waiting).first_key_value().map(|((at, _), _)| *at)
    }

    /// Wakes who waits for what is due.
    pub fn fire(&self, now: Instant) {
        loop {
            let due = {
                let mut waiting = lock(&self.waiting);
                match waiting.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            due.wake();
        }
    }
}

pub struct Timer {
    executor: Arc<Executor>,
    key: Key,
    waits: bool,
}

impl Timer {
    pub fn new(executor: &Arc<Executor>, at: Instant) -> Timer {
        let name = executor.timers.next.fetch_add(1, Ordering::Relaxed);
        Timer { executor: Arc::clone(executor), key: (at, name), waits: false }
    }

    fn forget(&mut self) {
        if std::mem::take(&mut self.waits) {
            lock(&self.executor.timers.waiting).remove(&self.key);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Timer").field(&self.key.0).finish()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.forget();
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.forget();
        self.key.0 = at;
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.key.0 {
            self.forget();
            return Poll::Ready(());
        }
        lock(&self.executor.timers.waiting).insert(self.key, context.waker().clone());
        self.waits = true;
        Poll::Pending
    }
}

/// What `future` gives, or `None` when it takes longer than `limit`.
pub async fn timeout<T>(executor: &Arc<Executor>, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut timer = Timer::new(executor, Instant::now() + limit);
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => AsyncTimer::poll(Pin::new(&mut timer), context).map(|()| None),
    })
    .await
}
