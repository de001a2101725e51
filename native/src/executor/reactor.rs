//! One epoll instance with the UDP sockets and a descriptor to interrupt it (epoll(7), eventfd(2)). Level-triggered:
//! what is not taken now is told again, so no read has to end in EAGAIN.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::lock::lock;

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
        if self.writable.load(Ordering::Relaxed) {
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
        if let Some(reader) = reader {
            reader.wake();
        }
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
    epoll: OwnedFd,
    interrupt: OwnedFd,
    interrupted: AtomicBool,
    sockets: Mutex<HashMap<u64, Arc<Interest>>>,
    next: AtomicU64,
}

fn checked(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

impl Reactor {
    pub fn new() -> io::Result<Reactor> {
        // SAFETY: plain system calls; nobody else owns the descriptors that they return.
        let (epoll, interrupt) = unsafe {
            let epoll = OwnedFd::from_raw_fd(checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?);
            let interrupt = checked(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?;
            (epoll, OwnedFd::from_raw_fd(interrupt))
        };
        let reactor = Reactor {
            epoll,
            interrupt,
            interrupted: AtomicBool::new(false),
            sockets: Mutex::default(),
            next: AtomicU64::new(INTERRUPT + 1),
        };
        reactor.control(libc::EPOLL_CTL_ADD, reactor.interrupt.as_raw_fd(), libc::EPOLLIN, INTERRUPT)?;
        Ok(reactor)
    }

    /// Readable while there is something to look at.
    pub fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
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
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, name).inspect_err(|_| self.remove(&interest))?;
        Ok(interest)
    }

    /// To be called before the socket is closed, which takes it out of the epoll instance.
    pub fn remove(&self, interest: &Interest) {
        lock(&self.sockets).remove(&interest.name);
    }

    /// The socket's buffer is full: its writers are woken when there is room.
    pub fn wait_writable(&self, interest: &Interest) -> io::Result<()> {
        interest.writable.store(false, Ordering::Relaxed);
        self.control(libc::EPOLL_CTL_MOD, interest.fd, libc::EPOLLIN | libc::EPOLLOUT, interest.name)
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, events: libc::c_int, name: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: name };
        // SAFETY: both descriptors are open and the event lives for the call.
        checked(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) }).map(|_| ())
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
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_LOOK];
        // SAFETY: the buffer is writable for the number of events given.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS_PER_LOOK as libc::c_int, milliseconds)
        };
        // Interrupted by a signal: as if nothing had come.
        for event in &events[..usize::try_from(count).unwrap_or(0)] {
            let (name, kinds) = (event.u64, event.events as libc::c_int);
            if name == INTERRUPT {
                self.take_interrupt();
                continue;
            }
            let Some(interest) = lock(&self.sockets).get(&name).map(Arc::clone) else { continue };
            if kinds & libc::EPOLLOUT != 0 {
                // Fails only for a socket that is closed, and then nobody waits.
                let _ = self.control(libc::EPOLL_CTL_MOD, interest.fd, libc::EPOLLIN, interest.name);
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
        if sockets.iter().flatten().any(|interest| !interest.writable.load(Ordering::Relaxed)) {
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
