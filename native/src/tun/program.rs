//! Which queue of the device a packet from the network waits in: that of the client it is for.
//!
//! A program of eight instructions in the kernel takes the last 16 bits of the destination address, and the kernel
//! the remainder by the number of queues (TUNSETSTEERINGEBPF, `tun_ebpf_select_queue` in drivers/net/tun.c).
//! Neighbouring addresses come to different queues, and nothing that a client sends moves it to another one.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use napi_derive::napi;

use crate::system::checked;
use crate::tun::steering::set_inherited;

// linux/bpf.h
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;
const BPF_MOV64_REG: u8 = 0xbf;
const BPF_LD_ABS_BYTE: u8 = 0x30;
const BPF_LD_ABS_HALF: u8 = 0x28;
const BPF_RSH64: u8 = 0x77;
const BPF_JEQ: u8 = 0x15;
const BPF_EXIT: u8 = 0x95;
/// The register through which a load finds the packet. One behind the packet's end ends the program, with 0.
const CONTEXT: u8 = 6;

/// The last two bytes of the destination address (RFC 791 section 3.1, RFC 8200 section 3).
const IPV4_DESTINATION_END: i32 = 18;
const IPV6_DESTINATION_END: i32 = 38;

/// `struct bpf_insn`; `registers` holds the destination in its low half, the source in its high one.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers, offset, immediate }
}

/// By the packet's version, the last half-word of its destination. Result and loads are in register 0.
const PROGRAM: [Instruction; 8] = [
    instruction(BPF_MOV64_REG, 1 << 4 | CONTEXT, 0, 0),
    instruction(BPF_LD_ABS_BYTE, 0, 0, 0),
    instruction(BPF_RSH64, 0, 0, 4),
    instruction(BPF_JEQ, 0, 2, 4),
    instruction(BPF_LD_ABS_HALF, 0, 0, IPV6_DESTINATION_END),
    instruction(BPF_EXIT, 0, 0, 0),
    instruction(BPF_LD_ABS_HALF, 0, 0, IPV4_DESTINATION_END),
    instruction(BPF_EXIT, 0, 0, 0),
];

/// The part of `union bpf_attr` that BPF_PROG_LOAD needs; the kernel takes what is behind it as zero.
#[repr(C)]
struct LoadRequest {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

/// A descriptor of the program that outlives execve(2); -1 without CAP_BPF, where a container's system call filter has
/// no bpf(2), and in kernels without it.
#[napi]
pub fn load_steering() -> i32 {
    match load() {
        Ok(program) if set_inherited(program.as_raw_fd(), true).is_ok() => program.into_raw_fd(),
        _ => -1,
    }
}

fn load() -> io::Result<OwnedFd> {
    let request = LoadRequest {
        program_type: BPF_PROG_TYPE_SOCKET_FILTER,
        instruction_count: PROGRAM.len() as u32,
        instructions: PROGRAM.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
    };
    // SAFETY: the request and what it points at live for the call, with the lengths given; the descriptor that comes
    // back is owned by nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const request, size_of::<LoadRequest>());
        Ok(OwnedFd::from_raw_fd(checked(fd)? as libc::c_int))
    }
}
