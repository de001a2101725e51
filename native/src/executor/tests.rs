//! The executor without a UDP socket and without an event loop.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::executor::{Executor, timeout};
use crate::lock::lock;

/// Runs `world` to its end on this thread; what it asserts fails the test.
pub fn run<W: Future<Output = ()> + Send + 'static>(world: impl FnOnce(Arc<Executor>) -> W) {
    let executor = Executor::new().expect("an epoll instance");
    let done = Arc::new(AtomicUsize::new(0));
    let (ending, told) = (Arc::clone(&executor), Arc::clone(&done));
    let world = world(Arc::clone(&executor));
    let ends = Ends(ending);
    executor.spawn(Box::pin(async move {
        let _ends = ends;
        world.await;
        told.store(1, Ordering::Relaxed);
    }));
    executor.run();
    assert_eq!(done.load(Ordering::Relaxed), 1, "the world panicked");
}

struct Ends(Arc<Executor>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[test]
fn a_wake_from_another_thread_ends_a_sleep() {
    run(async |_| {
        let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
        let mut other = None;
        let began = Instant::now();
        poll_fn(|context| {
            if other.is_some() {
                return Poll::Ready(());
            }
            *lock(&slot) = Some(context.waker().clone());
            let slot = Arc::clone(&slot);
            other = Some(thread::spawn(move || lock(&slot).take().map(Waker::wake)));
            Poll::Pending
        })
        .await;
        assert!(began.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn what_is_due_first_comes_first_and_what_is_given_up_never_comes() {
    run(async |executor| {
        let order: Arc<Mutex<Vec<u64>>> = Arc::default();
        for delay in [300, 100, 200] {
            let (order, executor) = (Arc::clone(&order), Arc::clone(&executor));
            let here = Arc::clone(&executor);
            here.spawn(Box::pin(async move {
                timeout(&executor, Duration::from_millis(delay), pending::<()>()).await;
                lock(&order).push(delay);
            }));
        }
        assert_eq!(timeout(&executor, Duration::from_secs(3600), async { 7 }).await, Some(7));
        assert_eq!(timeout(&executor, Duration::from_millis(600), pending::<()>()).await, None);
        assert_eq!(*lock(&order), [100, 200, 300]);
        assert!(executor.timers.first().is_none(), "a timer that nobody waits for is left");
    });
}

#[test]
fn a_panic_ends_its_task_and_no_other() {
    run(async |executor| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let held = Arc::clone(&dropped);
        executor.spawn(Box::pin(async move {
            let _held = Counts(held);
            panic!("expected by the test");
        }));
        executor.next_turn().await;
        executor.next_turn().await;
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn the_end_drops_what_waits() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let held = Arc::clone(&dropped);
    run(async move |executor| {
        for _ in 0..10 {
            let held = Counts(Arc::clone(&held));
            executor.spawn(Box::pin(async move {
                let _held = held;
                pending::<()>().await;
            }));
        }
        executor.next_turn().await;
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
}

#[test]
fn who_is_always_ready_does_not_keep_others_from_the_next_turn() {
    run(async |executor| {
        let mut busy = 1_000_000;
        executor.spawn(Box::pin(poll_fn(move |context| {
            busy -= 1;
            context.waker().wake_by_ref();
            if busy == 0 { Poll::Ready(()) } else { Poll::Pending }
        })));
        let began = Instant::now();
        for _ in 0..10 {
            executor.next_turn().await;
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    });
}

struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
