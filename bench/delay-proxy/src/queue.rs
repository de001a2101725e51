//! The netlink socket that queue 0 speaks through.

use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::message::{Announcement, HEAD_LEN, accept_request, bind_request, parse};

/// The socket's receive buffer, in bytes: a tick of announcements, with the kernel's overhead of about 1 KB
/// each, many times over. What does not fit, the kernel drops together with its packet.
const RECEIVE_BUFFER_LEN: libc::c_int = 32 << 20;

pub struct PacketQueue {
    socket: OwnedFd,
}

impl PacketQueue {
    /// Takes queue 0 of this network namespace, which then holds at most `max_packets`.
    pub fn bind(max_packets: u32) -> Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: a system call without pointers.
        let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_NETFILTER) } as isize)?;
        // SAFETY: `fd` is open, and nothing else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
        let queue = Self { socket };
        queue.enlarge_receive_buffer()?;
        queue.send(&bind_request(max_packets))?;
        queue.wait()?;
        queue.read_announcements()?;
        Ok(queue)
    }

    /// Waits until there is something to read.
    pub fn wait(&self) -> Result<()> {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one valid pollfd for the length of the call.
        check(unsafe { libc::poll(&raw mut poll, 1, -1) } as isize).map(drop)
    }

    /// Reads all that is there and gives the newest packet number. Never blocks.
    pub fn read_announcements(&self) -> Result<Option<u32>> {
        let mut newest = None;
        let mut head = [0; HEAD_LEN];
        loop {
            // SAFETY: the kernel writes at most `head.len()` bytes to `head` and cuts off the rest.
            let read = check(unsafe {
                libc::recv(self.socket.as_raw_fd(), head.as_mut_ptr().cast(), head.len(), libc::MSG_DONTWAIT)
            });
            let length = match read {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(newest),
                Err(error) => return Err(error),
            };
            match parse(&head[..length]) {
                Announcement::Packet(number) => newest = Some(number),
                Announcement::Answer(code) if code != 0 => {
                    return Err(Error::from_raw_os_error(-code));
                }
                Announcement::Answer(_) | Announcement::Other => {}
            }
        }
    }

    /// Lets go every packet up to this number.
    pub fn accept_up_to(&self, last_packet: u32) -> Result<()> {
        self.send(&accept_request(last_packet))
    }

    fn send(&self, request: &[u8]) -> Result<()> {
        // SAFETY: `request` is valid for its length during the call.
        check(unsafe { libc::send(self.socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) }).map(drop)
    }

    fn enlarge_receive_buffer(&self) -> Result<()> {
        let length = RECEIVE_BUFFER_LEN;
        // SAFETY: the option is an int, and `length` is one for the length of the call.
        check(unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const length).cast(),
                size_of_val(&length) as libc::socklen_t,
            )
        } as isize)
        .map(drop)
    }
}

/// The result of a system call, or its errno.
fn check(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::last_os_error())
}
