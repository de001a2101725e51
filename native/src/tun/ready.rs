//! Which queues of a device have something: one descriptor to watch for all of them.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::system::Epoll;

pub struct ReadySet {
    epoll: Epoll,
    events: Vec<libc::epoll_event>,
}

impl ReadySet {
    pub fn new(queues: &[File]) -> io::Result<ReadySet> {
        let epoll = Epoll::new()?;
        for (index, queue) in queues.iter().enumerate() {
            epoll.add(queue.as_raw_fd(), libc::EPOLLIN, index as u64)?;
        }
        Ok(ReadySet { epoll, events: vec![Epoll::NO_EVENT; queues.len()] })
    }

    /// Readable while a queue has something.
    pub fn fd(&self) -> RawFd {
        self.epoll.fd()
    }

    /// The indices of the queues that have something now. None when a signal interrupted it: the descriptor stays
    /// readable, and the caller is called again.
    pub fn look(&mut self) -> impl Iterator<Item = usize> {
        self.epoll.wait(&mut self.events, 0).iter().map(|event| event.u64 as usize)
    }
}
