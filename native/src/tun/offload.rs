//! Which super-packets a device may carry: what the kernel is asked for, and what is left after the self-test.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use crate::constants::VNET_HEADER_LENGTH;
use crate::system::checked;

// linux/if_tun.h; libc has not all of them.
const TUNSETOFFLOAD: libc::Ioctl = 0x4004_54d0;
const TUNSETVNETHDRSZ: libc::Ioctl = 0x4004_54d8;
const TUN_F_CSUM: u32 = 0x01;
const TUN_F_TSO4: u32 = 0x02;
const TUN_F_TSO6: u32 = 0x04;
const TUN_F_USO4: u32 = 0x20;
const TUN_F_USO6: u32 = 0x40;

/// Kinds of super-packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    pub tso4: bool,
    pub tso6: bool,
    /// Of both families: the kernel has no other way (`set_offload` in drivers/net/tun.c). Needs Linux 6.2.
    pub uso: bool,
}

impl Offloads {
    pub const NONE: Offloads = Offloads { tso4: false, tso6: false, uso: false };
    pub const TCP: Offloads = Offloads { tso4: true, tso6: true, uso: false };
    pub const ALL: Offloads = Offloads { tso4: true, tso6: true, uso: true };

    fn bits(self) -> u32 {
        let wanted = [
            (self != Offloads::NONE, TUN_F_CSUM),
            (self.tso4, TUN_F_TSO4),
            (self.tso6, TUN_F_TSO6),
            (self.uso, TUN_F_USO4 | TUN_F_USO6),
        ];
        wanted.into_iter().filter(|(on, _)| *on).map(|(_, bits)| bits).sum()
    }

    /// The super-packets that the kernel hands over from now on; the others it cuts itself. EINVAL: it does not know
    /// one of the kinds. What it takes does not depend on this.
    pub fn set(self, device: &File) -> io::Result<()> {
        // SAFETY: TUNSETOFFLOAD takes its bits by value (linux/if_tun.h).
        let status = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETOFFLOAD, libc::c_ulong::from(self.bits())) };
        checked(status).map(|_| ())
    }
}

/// The length of the header in front of each packet.
pub fn set_header_length(device: &File) -> io::Result<()> {
    let mut length = VNET_HEADER_LENGTH as c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one int (linux/if_tun.h).
    let status = unsafe { libc::ioctl(device.as_raw_fd(), TUNSETVNETHDRSZ, &raw mut length) };
    checked(status).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits() {
        for (offloads, bits) in [
            (Offloads::NONE, 0),
            (Offloads::TCP, 0x07),
            (Offloads::ALL, 0x67),
            (Offloads { tso4: false, ..Offloads::ALL }, 0x65),
            (Offloads { uso: true, ..Offloads::NONE }, 0x61),
        ] {
            assert_eq!(offloads.bits(), bits, "{offloads:?}");
        }
    }
}
