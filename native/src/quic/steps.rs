//! At most one step of a handshake a turn of the QUIC thread. A step is half a millisecond and more of cryptography;
//! without this, a hundred handshakes that are ready together hold up the packets of all sessions for as many steps.
//!
//! ```text
//!   handshakes ── stand in line ──▶ one step ──▶ the socket, and all else that is ready ──▶ the next one's step
//! ```
//!
//! A step is the acceptance of an Initial, and each poll of the connection's driver until its handshake is complete.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use crate::executor::{Executor, wake};
use crate::lock::lock;

/// The driver of a connection, as QUIC's runtime gets it.
pub type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handshake's place in the line.
#[derive(Default)]
pub struct Place {
    complete: AtomicBool,
}

impl Place {
    /// From now on the connection's packets wait for nobody.
    pub fn complete(&self) {
        self.complete.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Line {
    /// A step was made in this turn.
    taken: bool,
    /// Whose step is next, woken in this turn. When it does not come, its connection is gone.
    called: Option<Arc<Place>>,
    /// Each place once, so no longer than there are handshakes in progress.
    waiting: VecDeque<(Arc<Place>, Waker)>,
    turn: Option<Waker>,
    /// Whose driver is spawned next.
    accepted: Option<Arc<Place>>,
}

#[derive(Default)]
pub struct Steps {
    line: Mutex<Line>,
}

impl Steps {
    /// Comes back when `place` may make its next step.
    pub async fn enter(&self, place: &Arc<Place>) {
        poll_fn(|context| self.poll_enter(place, context)).await
    }

    /// Runs `accept`, which spawns the driver of the handshake at `place`.
    pub fn accept<T>(&self, place: &Arc<Place>, accept: impl FnOnce() -> T) -> T {
        lock(&self.line).accepted = Some(Arc::clone(place));
        let accepted = accept();
        lock(&self.line).accepted = None;
        accepted
    }

    /// What to spawn on `executor` for `driver`: while `accept` runs, one that makes its steps in turn.
    pub fn drive(self: &Arc<Self>, executor: &Arc<Executor>, driver: Driver) -> Driver {
        let Some(place) = lock(&self.line).accepted.take() else { return driver };
        Box::pin(InTurn { steps: Arc::clone(self), executor: Arc::clone(executor), place, driver })
    }

    /// Calls one after the other; runs until the runtime ends.
    pub async fn call(&self, executor: &Executor) {
        loop {
            poll_fn(|context| self.poll_needed(context)).await;
            // Back when all that is ready has run and the socket was looked at.
            executor.next_turn().await;
            self.call_next();
        }
    }

    fn poll_enter(&self, place: &Arc<Place>, context: &Context<'_>) -> Poll<()> {
        let mut line = lock(&self.line);
        let called = line.called.as_ref().is_some_and(|next| Arc::ptr_eq(next, place));
        if !line.taken && (called || (line.called.is_none() && line.waiting.is_empty())) {
            line.taken = true;
            line.called = None;
            wake(line.turn.take());
            return Poll::Ready(());
        }
        match line.waiting.iter_mut().find(|(waiting, _)| Arc::ptr_eq(waiting, place)) {
            Some((_, waker)) => waker.clone_from(context.waker()),
            None => line.waiting.push_back((Arc::clone(place), context.waker().clone())),
        }
        wake(line.turn.take());
        Poll::Pending
    }

    fn poll_needed(&self, context: &Context<'_>) -> Poll<()> {
        let mut line = lock(&self.line);
        if line.taken || line.called.is_some() || !line.waiting.is_empty() {
            return Poll::Ready(());
        }
        line.turn = Some(context.waker().clone());
        Poll::Pending
    }

    fn call_next(&self) {
        let mut line = lock(&self.line);
        line.taken = false;
        let next = line.waiting.pop_front();
        line.called = next.as_ref().map(|(place, _)| Arc::clone(place));
        drop(line);
        wake(next.map(|(_, waker)| waker));
    }
}

struct InTurn {
    steps: Arc<Steps>,
    executor: Arc<Executor>,
    place: Arc<Place>,
    driver: Driver,
}

impl Future for InTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.place.complete.load(Ordering::Relaxed) {
            return self.driver.as_mut().poll(context);
        }
        if self.steps.poll_enter(&self.place, context).is_pending() {
            return Poll::Pending;
        }
        let InTurn { executor, driver, .. } = &mut *self;
        // Most sessions are idle after it: what a flight of three datagrams gains is not worth their memory.
        executor.sparingly(|| driver.as_mut().poll(context))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, Mutex};
    use std::task::Poll;
    use std::time::Duration;

    use super::{Place, Steps};
    use crate::executor::tests::run;
    use crate::executor::{Executor, timeout};

    /// Who ran, in order.
    type Order = Arc<Mutex<Vec<String>>>;

    fn note(order: &Order, name: impl Into<String>) {
        order.lock().expect("no panic under the lock").push(name.into());
    }

    /// Is ready again and again, `polls` times.
    async fn busy(name: String, polls: usize, order: Order) {
        let mut left = polls;
        poll_fn(move |context| {
            note(&order, name.clone());
            left -= 1;
            context.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await
    }

    fn in_turn(
        executor: &Arc<Executor>,
        steps: &Arc<Steps>,
        place: &Arc<Place>,
        name: &str,
        polls: usize,
        order: &Order,
    ) {
        let driver = Box::pin(busy(name.to_owned(), polls, Arc::clone(order)));
        executor.spawn(steps.accept(place, || steps.drive(executor, driver)));
    }

    /// The line, with the task that calls.
    fn line(executor: &Arc<Executor>) -> Arc<Steps> {
        let steps = Arc::new(Steps::default());
        let calling = (Arc::clone(&steps), Arc::clone(executor));
        executor.spawn(Box::pin(async move { calling.0.call(&calling.1).await }));
        steps
    }

    async fn settle(executor: &Executor) {
        for _ in 0..100 {
            executor.next_turn().await;
        }
    }

    #[test]
    fn between_two_steps_runs_all_that_is_ready() {
        run(async |executor| {
            let (steps, order) = (line(&executor), Order::default());
            for name in ["a", "b", "c"] {
                in_turn(&executor, &steps, &Arc::new(Place::default()), name, 2, &order);
            }
            let session = (Arc::clone(&executor), Arc::clone(&order));
            executor.spawn(Box::pin(async move {
                for _ in 0..6 {
                    note(&session.1, "session");
                    session.0.next_turn().await;
                }
            }));
            settle(&executor).await;
            let order = order.lock().expect("no panic under the lock").clone();
            let steps: Vec<_> = order.iter().filter(|name| *name != "session").map(String::as_str).collect();
            assert_eq!(steps, ["a", "b", "c", "a", "b", "c"]);
            let busy = order.len() - 1 - order.iter().rev().position(|name| name == "session").expect("it ran");
            assert!(order[..busy].windows(2).all(|pair| pair.contains(&"session".to_owned())), "{order:?}");
        });
    }

    #[test]
    fn who_is_complete_waits_no_more_and_who_is_gone_holds_up_nobody() {
        run(async |executor| {
            let (steps, order) = (line(&executor), Order::default());
            let complete = Arc::new(Place::default());
            complete.complete();
            in_turn(&executor, &steps, &complete, "complete", 2, &order);
            in_turn(&executor, &steps, &Arc::new(Place::default()), "first", 1, &order);
            steps.enter(&Arc::default()).await;
            let gone = Arc::default();
            assert_eq!(timeout(&executor, Duration::ZERO, steps.enter(&gone)).await, None, "one step a turn");
            in_turn(&executor, &steps, &Arc::new(Place::default()), "last", 1, &order);
            settle(&executor).await;
            let order = order.lock().expect("no panic under the lock").clone();
            assert_eq!(order.iter().filter(|name| *name == "complete").count(), 2);
            assert_eq!(order.last().map(String::as_str), Some("last"));
            assert!(steps.line.lock().expect("no panic under the lock").waiting.is_empty());
        });
    }
}
