//! One epoll instance with the UDP sockets and a descriptor to interrupt it (epoll(7), eventfd(2)). Level-triggered:
//! what is not taken now is told again, so no read has to end in EAGAIN.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::executor::wake;
use crate::lock::lock;
use crate::system::{Epoll, checked};

/// The name of the eventfd in an epoll event; sockets count from one.
const INTERRUPT: u64 = 0;
/// Events of one look: a socket, the one before a change of network, the interrupt.
const EVENTS_PER_LOOK: usize = 4;

/// What is known of one socket, and who waits for it.
#[derive(Debug)]
pub struct Interest {
    name: u64,
    fd: RawFd,
    readable: AtomicBool,
    writable: AtomicBool,
    reader: Mutex<Option<Waker>>,
    writers: Mutex<Vec<Waker>>,
}

impl Interest {
    pub fn is_readable(&self) -> bool {
        self.readable.load(Ordering::Relaxed)
    }

    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub fn drained(&self) {
        self.readable.store(false, Ordering::Relaxed);
    }

    pub fn wait_readable(&self, context: &Context<'_>) {
        let mut reader = lock(&self.reader);
        match &mut *reader {
            Some(waker) => waker.clone_from(context.waker()),
            None => *reader = Some(context.waker().clone()),
        }
    }

    pub fn poll_writable(&self, context: &Context<'_>) -> Poll<()> {
        if self.is_writable() {
            return Poll::Ready(());
        }
        let mut writers = lock(&self.writers);
        if !writers.iter().any(|waker| waker.will_wake(context.waker())) {
            writers.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn became_readable(&self) {
        self.readable.store(true, Ordering::Relaxed);
        let reader = lock(&self.reader).take();
        wake(reader);
    }

    fn became_writable(&self) {
        self.writable.store(true, Ordering::Relaxed);
        let writers = std::mem::take(&mut *lock(&self.writers));
        for writer in writers {
            writer.wake();
        }
    }
}

pub struct Reactor {
    epoll: Epoll,
    interrupt: OwnedFd,
    interrupted: AtomicBool,
    sockets: Mutex<HashMap<u64, Arc<Interest>>>,
    next: AtomicU64,
}

impl Reactor {
    pub fn new() -> io::Result<Reactor> {
        // SAFETY: a plain system call; the descriptor is owned by nobody else.
        let interrupt =
            unsafe { OwnedFd::from_raw_fd(checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) };
        let reactor = Reactor {
            epoll: Epoll::new()?,
            interrupt,
            interrupted: AtomicBool::new(false),
            sockets: Mutex::default(),
            next: AtomicU64::new(INTERRUPT + 1),
        };
        reactor.epoll.add(reactor.interrupt.as_raw_fd(), libc::EPOLLIN, INTERRUPT)?;
        Ok(reactor)
    }

    /// Readable while there is something to look at.
    pub fn fd(&self) -> RawFd {
        self.epoll.fd()
    }

    pub fn add(&self, fd: RawFd) -> io::Result<Arc<Interest>> {
        let name = self.next.fetch_add(1, Ordering::Relaxed);
        let interest = Arc::new(Interest {
            name,
            fd,
            readable: AtomicBool::new(true),
            writable: AtomicBool::new(true),
            reader: Mutex::default(),
            writers: Mutex::default(),
        });
        lock(&self.sockets).insert(name, Arc::clone(&interest));
        self.epoll.add(fd, libc::EPOLLIN, name).inspect_err(|_| self.remove(&interest))?;
        Ok(interest)
    }

    /// To be called before the socket is closed, which takes it out of the epoll instance.
    pub fn remove(&self, interest: &Interest) {
        lock(&self.sockets).remove(&interest.name);
    }

    /// The socket's buffer is full: its writers are woken when there is room.
    pub fn wait_writable(&self, interest: &Interest) -> io::Result<()> {
        interest.writable.store(false, Ordering::Relaxed);
        self.epoll.modify(interest.fd, libc::EPOLLIN | libc::EPOLLOUT, interest.name)
    }

    /// From any thread: ends the running `look`, or the next one at once.
    pub fn interrupt(&self) {
        if self.interrupted.swap(true, Ordering::AcqRel) {
            return;
        }
        let one = 1_u64.to_ne_bytes();
        // SAFETY: the descriptor is open and eight bytes are what an eventfd takes. It never blocks: the counter is one.
        unsafe { libc::write(self.interrupt.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Waits until there is something, `timeout` at most (`None`: for ever), and wakes who waited for it.
    pub fn look(&self, timeout: Option<Duration>) {
        // Rounded up: a timer is not looked at before it is due.
        let milliseconds =
            timeout.map_or(-1, |time| i32::try_from(time.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        for event in self.epoll.wait(&mut [Epoll::NO_EVENT; EVENTS_PER_LOOK], milliseconds) {
            let (name, kinds) = (event.u64, event.events as libc::c_int);
            if name == INTERRUPT {
                self.take_interrupt();
                continue;
            }
            let Some(interest) = lock(&self.sockets).get(&name).map(Arc::clone) else { continue };
            if kinds & libc::EPOLLOUT != 0 {
                // Fails only for a socket that is closed, and then nobody waits.
                let _ = self.epoll.modify(interest.fd, libc::EPOLLIN, interest.name);
                interest.became_writable();
            }
            // An error is taken by reading as well.
            if kinds & !libc::EPOLLOUT != 0 {
                interest.became_readable();
            }
        }
    }

    /// What `look` would find when the descriptor became readable and nobody interrupted: one system call less.
    pub fn look_readable(&self) {
        if self.interrupted.load(Ordering::Acquire) {
            return self.look(Some(Duration::ZERO));
        }
        let sockets: [Option<Arc<Interest>>; EVENTS_PER_LOOK] = {
            let sockets = lock(&self.sockets);
            let mut all = sockets.values().map(Arc::clone);
            std::array::from_fn(|_| all.next())
        };
        if sockets.iter().flatten().any(|interest| !interest.is_writable()) {
            return self.look(Some(Duration::ZERO));
        }
        for interest in sockets.into_iter().flatten() {
            interest.became_readable();
        }
    }

    fn take_interrupt(&self) {
        let mut count = [0; 8];
        // SAFETY: the descriptor is open and the buffer has the eight bytes that an eventfd gives.
        unsafe { libc::read(self.interrupt.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        self.interrupted.store(false, Ordering::Release);
    }
}
