//! A TUN device: frames between the kernel and the caller's slab, in place.
//!
//! `device`: /dev/net/tun, ioctl and netlink. `offload`: super-packets; `self_test`, with `super_packet` and `bounce`:
//! whether this kernel carries them right. `program`, `steering`: which queue a packet waits in. `ready`, `turns`: which
//! queue is read next. `native`: what JavaScript calls.

mod bounce;
mod device;
mod native;
mod netlink;
mod offload;
// Called by JavaScript only.
#[cfg(not(test))]
mod program;
mod ready;
mod self_test;
mod steering;
mod super_packet;
mod turns;
