//! A library to preload: every instruction of the main thread from the end of one wait of its event loop
//! (`epoll_pwait`) to the next, by the processor's trap flag. SIGRTMIN + 5 asks for the next turn that has an event.
//!
//! The file `PID` in the directory `ZGATE_SINGLE_STEP` gets 16 bytes an instruction: its address, and the number of the
//! system call that it makes, or -1, each as little-endian 64 bits. A step takes some 5 µs, so other ends of
//! connections may send again meanwhile.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::ffi::{CStr, c_int, c_void};
use std::fs;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// More than a packet takes; the rest is not recorded.
const MOST_STEPS: usize = 200_000;
/// `EFLAGS.TF`: a trap after each instruction.
const TRAP_FLAG: i64 = 0x100;

#[repr(C)]
#[derive(Clone, Copy)]
struct Step {
    address: i64,
    call: i64,
}

static STEPS: AtomicPtr<Step> = AtomicPtr::new(ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ARMED: AtomicBool = AtomicBool::new(false);
static STEPPING: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static INIT: extern "C" fn() = init;

extern "C" fn init() {
    on_signal(libc::SIGRTMIN() + 5, arm as *const () as usize);
    on_signal(libc::SIGTRAP, trap as *const () as usize);
}

fn on_signal(signal: c_int, handler: usize) {
    // SAFETY: an all-zero sigaction is valid; both handlers take what SA_SIGINFO gives.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

/// The memory is made here, present at once, so that the turn itself faults for nothing of ours.
extern "C" fn arm(_: c_int, _: *mut libc::siginfo_t, _: *mut c_void) {
    let (bytes, flags) = (MOST_STEPS * size_of::<Step>(), libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE);
    // SAFETY: a new mapping; mmap(2) is a bare system call.
    let steps = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if steps != libc::MAP_FAILED {
        STEPS.store(steps.cast(), Ordering::Relaxed);
        ARMED.store(true, Ordering::Relaxed);
    }
}

extern "C" fn trap(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives the context of the thread that was interrupted, to read and to change.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let count = COUNT.load(Ordering::Relaxed);
    if !STEPPING.load(Ordering::Relaxed) || count == MOST_STEPS {
        registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
        return;
    }
    let address = registers[libc::REG_RIP as usize];
    let code = address as *const u8;
    // SAFETY: the processor is about to execute what is there; 0x0f begins instructions of two bytes and more.
    let is_call = unsafe { *code == 0x0f && *code.add(1) == 0x05 };
    let call = if is_call { registers[libc::REG_RAX as usize] } else { -1 };
    // SAFETY: `arm` made room for MOST_STEPS.
    unsafe { *STEPS.load(Ordering::Relaxed).add(count) = Step { address, call } };
    COUNT.store(count + 1, Ordering::Relaxed);
}

/// In the place of the C library's.
///
/// # Safety
///
/// As epoll_pwait(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut libc::epoll_event,
    most: c_int,
    timeout: c_int,
    mask: *const libc::sigset_t,
) -> c_int {
    // SAFETY: no arguments.
    let is_main = unsafe { libc::gettid() == libc::getpid() };
    if is_main && timeout != 0 && STEPPING.swap(false, Ordering::Relaxed) {
        // SAFETY: changes the trap flag and nothing else.
        unsafe { std::arch::asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
        save();
    }
    // SAFETY: the caller's arguments; 8 bytes is the size of the kernel's signal set.
    let count = unsafe { libc::syscall(libc::SYS_epoll_pwait, epoll, events, most, timeout, mask, 8) } as c_int;
    if is_main && count > 0 && ARMED.swap(false, Ordering::Relaxed) {
        COUNT.store(0, Ordering::Relaxed);
        STEPPING.store(true, Ordering::Relaxed);
        // SAFETY: as above; `trap` handles what follows.
        unsafe { std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }
    count
}

fn save() {
    // SAFETY: getenv(3) of a name that ends with 0; nobody changes the environment meanwhile.
    let directory = unsafe { libc::getenv(c"ZGATE_SINGLE_STEP".as_ptr()) };
    if directory.is_null() {
        return;
    }
    // SAFETY: a string of the environment.
    let directory = unsafe { CStr::from_ptr(directory) }.to_string_lossy().into_owned();
    let length = COUNT.load(Ordering::Relaxed) * size_of::<Step>();
    // SAFETY: `COUNT` steps were written, and have no padding.
    let bytes = unsafe { std::slice::from_raw_parts(STEPS.load(Ordering::Relaxed).cast::<u8>(), length) };
    // SAFETY: no arguments.
    let path = Path::new(&directory).join(unsafe { libc::getpid() }.to_string());
    let part = path.with_extension("part");
    // Who waits for the file says that there is none.
    let _ = fs::write(&part, bytes).and_then(|()| fs::rename(&part, &path));
}
