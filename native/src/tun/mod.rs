//! A TUN device: frames between the kernel and the caller's slab, in place.
//!
//! `device`: /dev/net/tun, ioctl and netlink. `program`, `steering`: which queue a packet waits in. `ready`, `turns`:
//! which queue is read next. `native`: what JavaScript calls.

mod device;
mod native;
mod netlink;
// Called by JavaScript only.
#[cfg(not(test))]
mod program;
mod ready;
mod steering;
mod turns;
