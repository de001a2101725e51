//! Which queues of a device have something: one descriptor to watch for all of them (epoll(7)).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub struct ReadySet {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl ReadySet {
    pub fn new(queues: &[File]) -> io::Result<ReadySet> {
        // SAFETY: a plain system call; the descriptor is owned by nobody else.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        for (index, queue) in queues.iter().enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            // SAFETY: both descriptors are open and the event lives for the call.
            let status =
                unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, queue.as_raw_fd(), &mut event) };
            if status < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(ReadySet { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; queues.len()] })
    }

    /// Readable while a queue has something.
    pub fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// The indices of the queues that have something now.
    pub fn look(&mut self) -> impl Iterator<Item = usize> {
        let events = &mut self.events;
        // SAFETY: the buffer is writable for the number of events given.
        let count = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, 0) };
        // Interrupted: the descriptor stays readable, and the caller is called again.
        let count = usize::try_from(count).unwrap_or(0);
        self.events[..count].iter().map(|event| event.u64 as usize)
    }
}
