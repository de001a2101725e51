//! The tasks, and a turn of who drives them.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::constants::{BUSY_BYTES, POLLS_PER_LOOK, QUIET_LOOKS, SHIFT_WINDOW};
use crate::event_loop;
use crate::executor::reactor::Reactor;
use crate::executor::shift::Shift;
use crate::executor::socket::Outgoing;
use crate::executor::timers::Timers;
use crate::lock::lock;
use crate::places::Places;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    executor: Arc<Executor>,
    /// It drives QUIC, an endpoint or a connection; the others stand between QUIC and JavaScript.
    is_driver: bool,
    place: usize,
    queued: AtomicBool,
    work: Mutex<Option<Work>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.executor.queue(Arc::clone(self));
        }
    }
}

impl Task {
    fn poll(self: Arc<Self>) {
        self.queued.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&self));
        let mut work = lock(&self.work);
        let Some(future) = work.as_mut() else { return };
        let mut context = Context::from_waker(&waker);
        // A panic ends its task; who must hear of it holds a guard in the task.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        if !matches!(polled, Ok(Poll::Pending)) {
            let done = work.take();
            drop(work);
            self.executor.forget(self.place);
            drop(done);
        }
    }
}

/// Every task that lives, so that all can be dropped: wakers alone may keep each other alive.
#[derive(Default)]
struct Living {
    tasks: Places<Arc<Task>>,
    closed: bool,
}

/// How a turn on the event loop ended.
pub enum Turn {
    /// The next one is due when something comes, or at this time.
    Until(Option<Instant>),
    /// JavaScript comes first; the next one is due after it.
    AfterCalls,
    /// There is much to do.
    Busy,
}

enum Polled {
    All,
    NotAll,
    /// There is something for JavaScript.
    Rung,
}

pub struct Executor {
    pub(super) reactor: Reactor,
    pub(super) timers: Timers,
    pub(super) shift: Shift,
    living: Mutex<Living>,
    ready: Mutex<VecDeque<Arc<Task>>>,
    /// Who waits for the next look at the sockets.
    later: Mutex<Vec<Waker>>,
    /// Sockets, which may keep datagrams until all that is ready has run.
    outgoing: Mutex<Vec<Arc<Outgoing>>>,
    /// Who drives is going to sleep: what becomes ready has to wake it.
    asleep: AtomicBool,
    /// The event loop was asked for a turn after the running call.
    called: AtomicBool,
    /// Bytes sent and received in this turn.
    work: AtomicUsize,
    /// Who is polled sends one datagram a call.
    sparing: AtomicBool,
    ended: AtomicBool,
}

impl Executor {
    pub fn new() -> io::Result<Arc<Executor>> {
        Ok(Arc::new(Executor {
            reactor: Reactor::new()?,
            timers: Timers::default(),
            shift: Shift::default(),
            living: Mutex::default(),
            ready: Mutex::default(),
            later: Mutex::default(),
            outgoing: Mutex::default(),
            asleep: AtomicBool::new(false),
            called: AtomicBool::new(false),
            work: AtomicUsize::new(0),
            sparing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }))
    }

    /// From any thread.
    pub fn spawn(self: &Arc<Self>, work: Work) {
        self.start(false, work);
    }

    /// As `spawn`, for what drives QUIC.
    pub fn spawn_driver(self: &Arc<Self>, work: Work) {
        self.start(true, work);
    }

    fn start(self: &Arc<Self>, is_driver: bool, work: Work) {
        let task = {
            let mut living = lock(&self.living);
            if living.closed {
                return;
            }
            let (executor, place) = (Arc::clone(self), living.tasks.next());
            let (queued, work) = (AtomicBool::new(true), Mutex::new(Some(work)));
            let task = Arc::new(Task { executor, is_driver, place, queued, work });
            living.tasks.hold(Arc::clone(&task));
            task
        };
        self.queue(task);
    }

    /// Back when all that is ready has run and the sockets were looked at.
    pub async fn next_turn(&self) {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            lock(&self.later).push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// While the result lives, the QUIC thread drives.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.shift.hold();
        Hold(Arc::clone(self))
    }

    /// Whether the event loop drives.
    pub fn is_quiet(&self) -> bool {
        self.shift.is_event_loops()
    }

    /// Ends `run` after the poll that is running.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Runs `poll`, in which QUIC sends one datagram a call. A buffer for several, which takes ten times the memory,
    /// is never given back by the connection that needed it once.
    pub fn sparingly<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.sparing.store(true, Ordering::Relaxed);
        let polled = poll();
        self.sparing.store(false, Ordering::Relaxed);
        polled
    }

    pub(super) fn is_sparing(&self) -> bool {
        self.sparing.load(Ordering::Relaxed)
    }

    pub(super) fn worked(&self, bytes: usize) {
        self.work.fetch_add(bytes, Ordering::Relaxed);
    }

    fn queue(&self, task: Arc<Task>) {
        lock(&self.ready).push_back(task);
        if self.asleep.swap(false, Ordering::SeqCst) {
            if self.shift.is_event_loops() && event_loop::is_calling() {
                self.called.store(true, Ordering::Relaxed);
            } else {
                self.reactor.interrupt();
            }
        }
    }

    fn forget(&self, place: usize) {
        let mut living = lock(&self.living);
        if !living.closed {
            living.tasks.forget(place);
        }
    }

    pub(super) fn add_outgoing(&self, socket: &Arc<Outgoing>) {
        lock(&self.outgoing).push(Arc::clone(socket));
    }

    pub(super) fn remove_outgoing(&self, socket: &Arc<Outgoing>) {
        lock(&self.outgoing).retain(|other| !Arc::ptr_eq(other, socket));
    }

    fn flush(&self) {
        for socket in lock(&self.outgoing).iter() {
            socket.flush(self);
        }
    }

    /// Polls what is ready, `POLLS_PER_LOOK` tasks at most. When there is something for JavaScript after this call of the
    /// event loop, the drivers wait until it was called: a packet goes its way first, and then what its arrival asks of
    /// QUIC.
    fn poll_ready(&self) -> Polled {
        let mut waiting = Vec::new();
        let mut rung = false;
        for _ in 0..POLLS_PER_LOOK {
            let Some(task) = lock(&self.ready).pop_front() else { break };
            if rung && task.is_driver {
                waiting.push(task);
            } else {
                task.poll();
                rung = event_loop::has_rung();
            }
        }
        lock(&self.ready).extend(waiting);
        match (rung, lock(&self.ready).is_empty()) {
            (true, _) => Polled::Rung,
            (false, true) => Polled::All,
            (false, false) => Polled::NotAll,
        }
    }

    /// Whether nothing is ready. What becomes so from now on wakes who drives.
    fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let sleeps = lock(&self.ready).is_empty() && lock(&self.later).is_empty();
        if !sleeps {
            self.asleep.store(false, Ordering::SeqCst);
        }
        sleeps
    }

    fn wake_later(&self) {
        let later = std::mem::take(&mut *lock(&self.later));
        for waker in later {
            waker.wake();
        }
    }

    /// The QUIC thread: drives until `end`, and then drops every task.
    pub fn run(&self) {
        while !self.drive() {
            self.asleep.store(true, Ordering::SeqCst);
            self.shift.leave_to_event_loop();
            self.asleep.store(false, Ordering::SeqCst);
        }
        self.close();
    }

    /// Until the end (true), or until there was little to do for a while (false).
    fn drive(&self) -> bool {
        let (mut since, mut looks) = (Instant::now(), 0);
        loop {
            self.poll_ready();
            self.flush();
            if self.ended.load(Ordering::Acquire) {
                return true;
            }
            let sleeps = self.fall_asleep();
            let timeout = if sleeps { self.until_due() } else { Some(Duration::ZERO) };
            // Nothing at all is little to do, too.
            let limit =
                if self.shift.is_held() { timeout } else { Some(timeout.unwrap_or(SHIFT_WINDOW).min(SHIFT_WINDOW)) };
            self.reactor.look(limit);
            self.asleep.store(false, Ordering::SeqCst);
            let now = Instant::now();
            self.timers.fire(now);
            self.wake_later();
            looks += 1;
            if now.duration_since(since) >= SHIFT_WINDOW {
                let bytes = self.work.swap(0, Ordering::Relaxed);
                if looks <= QUIET_LOOKS && bytes <= BUSY_BYTES && !self.shift.is_held() {
                    return false;
                }
                (since, looks) = (now, 0);
            }
        }
    }

    fn until_due(&self) -> Option<Duration> {
        self.timers.first().map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether a call of the event loop left something to do.
    pub(super) fn take_call(&self) -> bool {
        self.called.swap(false, Ordering::Relaxed)
    }

    /// One turn on the event loop; `look`: the sockets have something.
    pub(super) fn turn(&self, look: bool, now: Instant) -> Turn {
        self.asleep.store(false, Ordering::SeqCst);
        if look {
            self.reactor.look_readable();
        }
        self.timers.fire(now);
        let polled = self.poll_ready();
        let bytes = self.work.load(Ordering::Relaxed);
        let busy = bytes > BUSY_BYTES || self.shift.is_held() || self.ended.load(Ordering::Acquire);
        if matches!(polled, Polled::Rung) && !busy {
            self.called.store(true, Ordering::Relaxed);
            return Turn::AfterCalls;
        }
        self.flush();
        self.work.store(0, Ordering::Relaxed);
        if busy || !matches!(polled, Polled::All) || !self.fall_asleep() {
            return Turn::Busy;
        }
        Turn::Until(self.timers.first())
    }

    fn close(&self) {
        let tasks = {
            let mut living = lock(&self.living);
            living.closed = true;
            std::mem::take(&mut living.tasks)
        };
        for task in tasks.into_values() {
            let work = lock(&task.work).take();
            drop(work);
        }
        lock(&self.ready).clear();
        lock(&self.later).clear();
    }
}

pub struct Hold(Arc<Executor>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.shift.release();
    }
}
