//! A TUN device: frames between the kernel and the caller's slab, in place.
//!
//! `device`: /dev/net/tun, ioctl and netlink. `native`: what JavaScript calls.

mod device;
mod native;
mod netlink;
