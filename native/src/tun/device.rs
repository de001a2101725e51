//! Opening and configuring the device (linux/if_tun.h, Documentation/networking/tuntap.rst).

use std::ffi::c_int;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::constants::MAX_GSO_SIZE;
use crate::failure::{Code, Failure, Result, failure};
use crate::system::checked;
use crate::tun::netlink;
use crate::tun::offload::{self, Offloads};
use crate::tun::self_test::{self, Finding};
use crate::tun::steering::steer;

const DEVICE: &str = "/dev/net/tun";

// linux/if_tun.h; libc has not all of them.
const TUNSETIFF: libc::Ioctl = 0x4004_54ca;

/// linux/if_tun.h; the sign bit of the flags.
const IFF_TUN_EXCL: libc::c_int = 0x8000;

#[derive(Clone, Copy, Default)]
pub struct Features {
    pub vnet_header: bool,
    pub offloads: Offloads,
    /// A packet waits in the queue that its destination address names. Otherwise, with more than one queue, in the one
    /// that its flow was last written to (`tun_automq_select_queue` in drivers/net/tun.c).
    pub steered: bool,
}

pub struct Device {
    /// At least one.
    pub queues: Vec<File>,
    pub name: String,
    pub features: Features,
    /// What the self-test found; empty when no offload was asked for.
    pub findings: Vec<Finding>,
}

fn explain(what: &str, name: &str, error: &io::Error) -> Failure {
    let (code, advice) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            (Code::Privilege, "; the process needs CAP_NET_ADMIN, run it as root or grant the capability")
        }
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
            (Code::Tun, "; load the module (modprobe tun), or in a container pass --device /dev/net/tun")
        }
        Some(libc::EBUSY) => (Code::Tun, "; the name is in use, stop what uses it or choose another"),
        _ => (Code::Tun, ""),
    };
    failure(code, format!("TUN device {name}: {what}: {error}{advice}"))
}

/// The bytes of an interface name, checked (linux/if.h IFNAMSIZ, dev_valid_name in the kernel).
fn interface_request(name: &str) -> Result<libc::ifreq> {
    let valid = !name.is_empty()
        && name.len() < libc::IFNAMSIZ
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b':' && byte != b'%')
        && name != "."
        && name != "..";
    if !valid {
        return Err(failure(
            Code::Tun,
            format!("TUN device {name:?}: expected a name of 1 to 15 printable characters without / : % and spaces"),
        ));
    }
    // SAFETY: ifreq is plain data for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (target, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *target = byte as libc::c_char;
    }
    Ok(request)
}

/// An ioctl whose argument is a structure that the kernel reads and may write.
fn ioctl<T>(fd: RawFd, code: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    // SAFETY: every caller passes the structure that linux/if_tun.h or netdevice(7) names for the code.
    let status = unsafe { libc::ioctl(fd, code, std::ptr::from_mut(argument)) };
    checked(status).map(|_| ())
}

impl Device {
    /// `offload`: super-packets, as far as this kernel proves able to carry them.
    pub fn open(name: &str, mtu: u32, offload: bool, queues: u32, steering: Option<RawFd>) -> Result<Device> {
        let mut flags = libc::IFF_TUN | libc::IFF_NO_PI;
        if queues > 1 {
            flags |= libc::IFF_MULTI_QUEUE;
        }
        let mut findings = Vec::new();
        let mut offloaded = None;
        if offload {
            let first = open_first(name, mtu, flags | libc::IFF_VNET_HDR)?;
            findings = test_offload(&first, name)?;
            let offloads = self_test::usable(&findings);
            // Without any, the header would cost and be of no use: the device is closed and made anew.
            if offloads != Offloads::NONE {
                offloads.set(&first).map_err(|error| explain("TUNSETOFFLOAD", name, &error))?;
                offloaded = Some((first, offloads));
            }
        }
        let (first, features) = match offloaded {
            Some((first, offloads)) => {
                flags |= libc::IFF_VNET_HDR;
                (first, Features { vnet_header: true, offloads, steered: false })
            }
            None => (open_first(name, mtu, flags)?, Features::default()),
        };
        let steered = steering.is_some_and(|program| steer(&first, program).is_ok());
        let mut files = vec![first];
        for _ in 1..queues {
            files.push(open_queue(name, flags)?);
        }
        Ok(Device { queues: files, name: name.to_owned(), features: Features { steered, ..features }, findings })
    }

    /// One frame of a queue into `target`; `None` when the queue has nothing. A frame that is longer is cut.
    pub fn read(&self, queue: usize, target: &mut [u8]) -> io::Result<Option<usize>> {
        // SAFETY: the descriptor is open and `target` is writable for its whole length.
        let count = unsafe { libc::read(self.queues[queue].as_raw_fd(), target.as_mut_ptr().cast(), target.len()) };
        if count >= 0 {
            return Ok(Some(count as usize));
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) }
    }

    /// `queue`: where an answer waits when the device is not steered.
    pub fn write(&self, queue: usize, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the descriptor is open and `frame` is readable for its whole length.
        let count = unsafe { libc::write(self.queues[queue].as_raw_fd(), frame.as_ptr().cast(), frame.len()) };
        checked(count).map(|_| ())
    }
}

fn open_queue(name: &str, flags: libc::c_int) -> Result<File> {
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(DEVICE)
        .map_err(|error| explain(&format!("open {DEVICE}"), name, &error))?;
    ioctl(file.as_raw_fd(), TUNSETIFF, &mut request).map_err(|error| explain("TUNSETIFF", name, &error))?;
    Ok(file)
}

/// The device with its first queue, configured and up.
fn open_first(name: &str, mtu: u32, flags: libc::c_int) -> Result<File> {
    // With several queues, another process's device of this name would take ours for its own.
    let exclusive = if flags & libc::IFF_MULTI_QUEUE != 0 { IFF_TUN_EXCL } else { 0 };
    let first = open_queue(name, flags | exclusive)?;
    let socket = control_socket().map_err(|error| explain("socket", name, &error))?;
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_mtu = mtu as c_int;
    ioctl(socket.as_raw_fd(), libc::SIOCSIFMTU, &mut request)
        .map_err(|error| explain(&format!("MTU {mtu}"), name, &error))?;
    if flags & libc::IFF_VNET_HDR != 0 {
        offload::set_header_length(&first).map_err(|error| explain("TUNSETVNETHDRSZ", name, &error))?;
        // A frame with its header has to fit a 16-bit length.
        netlink::index_of(name)
            .and_then(|index| netlink::limit_gso(index, MAX_GSO_SIZE))
            .map_err(|error| explain("gso_max_size", name, &error))?;
    }
    let mut request = interface_request(name)?;
    ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &mut request).map_err(|error| explain("flags", name, &error))?;
    // SAFETY: SIOCGIFFLAGS filled this member of the union.
    let present = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = present | libc::IFF_UP as libc::c_short;
    ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &mut request).map_err(|error| explain("link up", name, &error))?;
    Ok(first)
}

fn test_offload(first: &File, name: &str) -> Result<Vec<Finding>> {
    netlink::index_of(name)
        .and_then(|index| self_test::run(first, index))
        .map_err(|error| explain("the self-test of its offloads", name, &error))
}

/// Any socket serves for netdevice(7) ioctls.
fn control_socket() -> io::Result<OwnedFd> {
    // SAFETY: a plain system call; the descriptor is owned by nobody else.
    unsafe { Ok(OwnedFd::from_raw_fd(checked(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0))?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, valid) in [
            ("zgate0", true),
            ("exactly15bytes_", true),
            ("sixteen_bytes___", false),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("a b", false),
            ("a:b", false),
            ("tun%d", false),
        ] {
            assert_eq!(interface_request(name).is_ok(), valid, "{name:?}");
        }
    }
}
