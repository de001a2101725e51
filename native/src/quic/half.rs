//! What both halves of a stream have: a task that sleeps beside its state, and that never ends unheard.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::lock::lock;
use crate::quic::stream::StreamShared;

/// A state with room for the waker of the one task that waits for it.
pub trait Sleeps {
    fn sleeper(&mut self) -> &mut Option<Waker>;
}

/// Resolves when `look` finds something; until then the waker is the sleeper, for whoever changes the state.
pub async fn found<S: Sleeps, T>(state: &Mutex<S>, mut look: impl FnMut(&mut S) -> Option<T>) -> T {
    poll_fn(|context| {
        let mut state = lock(state);
        match look(&mut state) {
            Some(found) => Poll::Ready(found),
            None => {
                *state.sleeper() = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Whatever ends the task, the end of the runtime included, JavaScript gets its last edge: `say` gives it.
pub struct LastWord {
    pub stream: Arc<StreamShared>,
    pub say: fn(&StreamShared),
}

impl Drop for LastWord {
    fn drop(&mut self) {
        (self.say)(&self.stream);
    }
}
