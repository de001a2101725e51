//! rtnetlink(7), as far as a device needs it: a request, its attributes, and the kernel's answer.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::system::checked;

// linux/if_link.h
const IFLA_GSO_MAX_SIZE: u16 = 41;
const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;

/// `struct nlmsghdr` (linux/netlink.h), in bytes.
const HEADER_LENGTH: usize = 16;
/// `struct rtattr` and every attribute begin at a multiple of it (RTA_ALIGNTO).
const ALIGNMENT: usize = 4;
/// Offset of the error number in an NLMSG_ERROR answer.
const ERROR_OFFSET: usize = 16;

/// A request that the kernel acknowledges.
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// `kind`: RTM_NEWLINK and its like; `flags`: beside NLM_F_REQUEST and NLM_F_ACK; `fixed`: the structure that
    /// the kind begins with.
    pub fn new(kind: u16, flags: i32, fixed: &[u8]) -> Request {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        let mut bytes = vec![0; HEADER_LENGTH];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Request { bytes }
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Request {
        self.put(kind, |bytes| bytes.extend_from_slice(value));
        self
    }

    /// An attribute that holds attributes: those that `fill` adds.
    pub fn nested(mut self, kind: u16, fill: impl FnOnce(Request) -> Request) -> Request {
        self.put(kind, |bytes| *bytes = fill(Request { bytes: std::mem::take(bytes) }).bytes);
        self
    }

    fn put(&mut self, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        value(&mut self.bytes);
        let length = (self.bytes.len() - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }

    /// Sends the request to the kernel; its error is the answer's.
    pub fn send(mut self) -> io::Result<()> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        // SAFETY: a plain system call; the descriptor is owned by nobody else.
        let socket = unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
            OwnedFd::from_raw_fd(checked(libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE))?)
        };
        let mut answer = [0_u8; 128];
        // SAFETY: both buffers are live for the lengths given; an unconnected netlink socket sends to the kernel.
        let count = unsafe {
            checked(libc::send(socket.as_raw_fd(), self.bytes.as_ptr().cast(), self.bytes.len(), 0))?;
            checked(libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0))?
        };
        let error = answer
            .get(ERROR_OFFSET..ERROR_OFFSET + 4)
            .filter(|_| count as usize >= ERROR_OFFSET + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(-libc::EPROTO, i32::from_ne_bytes);
        if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-error)) }
    }
}

/// The index of the interface `name`.
pub fn index_of(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 { Err(io::Error::last_os_error()) } else { Ok(index) }
}

/// Super-packets of the interface, headers included, hold at most this many bytes: the one thing that no ioctl sets.
pub fn limit_gso(index: u32, bytes: u32) -> io::Result<()> {
    // struct ifinfomsg (linux/rtnetlink.h): the index is its third word of four bytes, the rest stays as it is.
    let mut link = [0; 16];
    link[4..8].copy_from_slice(&index.to_ne_bytes());
    Request::new(libc::RTM_NEWLINK, 0, &link)
        .attribute(IFLA_GSO_MAX_SIZE, &bytes.to_ne_bytes())
        .attribute(IFLA_GSO_IPV4_MAX_SIZE, &bytes.to_ne_bytes())
        .send()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned_and_nested_ones_are_counted() {
        let request = Request::new(libc::RTM_NEWLINK, libc::NLM_F_EXCL, &[7; 4])
            .attribute(1, b"u32\0")
            .nested(2, |inner| inner.attribute(5, &[9; 3]).attribute(6, &[]));
        let word = |value: u16| value.to_ne_bytes();
        let expected = [
            // nlmsghdr: its length is set when it is sent
            &[0; 4][..],
            &word(libc::RTM_NEWLINK),
            &word((libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_EXCL) as u16),
            &[0; 8],
            &[7; 4],
            &word(8),
            &word(1),
            b"u32\0",
            // 4 for itself, 7 and 4 for those in it, 1 of padding between them
            &word(16),
            &word(2),
            &word(7),
            &word(5),
            &[9, 9, 9, 0],
            &word(4),
            &word(6),
        ];
        assert_eq!(request.bytes, expected.concat());
    }
}
