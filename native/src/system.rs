//! System calls that more than one part of the addon makes.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, epoll_event};

/// What a system call returned, or its `errno`.
pub fn checked<T: PartialOrd + Default>(status: T) -> io::Result<T> {
    if status < T::default() { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// An epoll instance (epoll(7)), level-triggered.
pub struct Epoll(OwnedFd);

impl Epoll {
    pub const NO_EVENT: epoll_event = epoll_event { events: 0, u64: 0 };

    pub fn new() -> io::Result<Epoll> {
        // SAFETY: a plain system call; the descriptor is owned by nobody else.
        unsafe { Ok(Epoll(OwnedFd::from_raw_fd(checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?))) }
    }

    /// Readable while a descriptor has an event.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Tells `events` of `fd` from now on, as `name`.
    pub fn add(&self, fd: RawFd, events: c_int, name: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events, name)
    }

    /// The same for a descriptor that was added.
    pub fn modify(&self, fd: RawFd, events: c_int, name: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events, name)
    }

    fn control(&self, operation: c_int, fd: RawFd, events: c_int, name: u64) -> io::Result<()> {
        let mut event = epoll_event { events: events as u32, u64: name };
        // SAFETY: the instance is open, the event lives for the call, and what is no descriptor is refused.
        checked(unsafe { libc::epoll_ctl(self.fd(), operation, fd, &mut event) }).map(|_| ())
    }

    /// The events there are, within `milliseconds` (-1: for ever). None when a signal interrupted it.
    pub fn wait<'a>(&self, events: &'a mut [epoll_event], milliseconds: c_int) -> &'a [epoll_event] {
        // SAFETY: the buffer is writable for the number of events given.
        let count = unsafe { libc::epoll_wait(self.fd(), events.as_mut_ptr(), events.len() as c_int, milliseconds) };
        &events[..usize::try_from(count).unwrap_or(0)]
    }
}
