//! The one thing that no ioctl sets: the largest super-packet of an interface (rtnetlink(7), linux/if_link.h).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

// linux/if_link.h
const IFLA_GSO_MAX_SIZE: u16 = 41;
const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;

/// `nlmsghdr` (16 bytes), `ifinfomsg` (16), then two attributes of 8.
const REQUEST_LENGTH: usize = 48;
/// Offset of the error number in an NLMSG_ERROR answer.
const ERROR_OFFSET: usize = 16;

fn request(index: u32, bytes: u32) -> [u8; REQUEST_LENGTH] {
    let mut message = [0; REQUEST_LENGTH];
    let mut put = |at: usize, field: &[u8]| message[at..at + field.len()].copy_from_slice(field);
    put(0, &(REQUEST_LENGTH as u32).to_ne_bytes());
    put(4, &libc::RTM_NEWLINK.to_ne_bytes());
    put(6, &((libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16).to_ne_bytes());
    put(20, &index.to_ne_bytes());
    for (at, kind) in [(32, IFLA_GSO_MAX_SIZE), (40, IFLA_GSO_IPV4_MAX_SIZE)] {
        put(at, &8_u16.to_ne_bytes());
        put(at + 2, &kind.to_ne_bytes());
        put(at + 4, &bytes.to_ne_bytes());
    }
    message
}

/// Super-packets of `name`, headers included, hold at most this many bytes.
pub fn limit_gso(name: &str, bytes: u32) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a plain system call; the descriptor is owned by nobody else.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let message = request(index, bytes);
    let mut answer = [0_u8; 128];
    // SAFETY: both buffers are live for the lengths given; an unconnected netlink socket sends to the kernel.
    let count = unsafe {
        if libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0)
    };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    let error = answer
        .get(ERROR_OFFSET..ERROR_OFFSET + 4)
        .filter(|_| count as usize >= ERROR_OFFSET + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(-libc::EPROTO, i32::from_ne_bytes);
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-error)) }
}
