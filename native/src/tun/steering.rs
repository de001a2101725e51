//! Attaching the program of `program.rs` to a device, after an execve(2) between the two.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::system::checked;

// linux/if_tun.h
const TUNSETSTEERINGEBPF: libc::Ioctl = 0x8004_54e0_u32 as libc::Ioctl;

/// From now on, all packets of the device are steered by `program`, a descriptor of `program.rs`. What else it may
/// be is refused; the commands that this process runs do not inherit it.
pub fn steer(queue: &File, mut program: RawFd) -> io::Result<()> {
    // SAFETY: TUNSETSTEERINGEBPF reads one int; the device keeps a reference of its own to the program.
    checked(unsafe { libc::ioctl(queue.as_raw_fd(), TUNSETSTEERINGEBPF, &raw mut program) })?;
    set_inherited(program, false)
}

pub fn set_inherited(fd: RawFd, inherited: bool) -> io::Result<()> {
    let flags = if inherited { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: a system call without pointers.
    checked(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }).map(|_| ())
}
