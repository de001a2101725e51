//! What the process may still do: its capabilities, and `no_new_privs` (capabilities(7), prctl(2)).

use napi_derive::napi;

use crate::failure::{Code, Result, failure};

/// linux/capability.h: 64 capabilities in two words.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Lets go of every capability that is not in the mask `kept` (bit n: capability n) and of the right to ever
/// gain one. This is the calling thread only: the process has to execute itself anew, which gives the kept
/// ones to every thread and to the commands that it runs.
#[napi]
pub fn drop_privileges(kept: u32) -> Result<()> {
    let mut header = Header { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 reads one `Header` and writes two `Sets`, which is what the pointers lead to.
    check("capget", unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    let kept = kept & sets[0].permitted;
    sets = [Sets { effective: kept, permitted: kept, inheritable: kept }, Sets::default()];
    // SAFETY: a system call without pointers.
    let status = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    check("no_new_privs", status.into())?;
    // SAFETY: as for capget; it reads both.
    check("capset", unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) })?;
    for capability in (0..u32::BITS).filter(|bit| kept & (1 << bit) != 0) {
        let number = libc::c_ulong::from(capability);
        // SAFETY: a system call without pointers. A user other than root keeps over execve what is ambient.
        let status = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number, 0, 0) };
        check("ambient capability", status.into())?;
    }
    Ok(())
}

fn check(what: &str, result: libc::c_long) -> Result<()> {
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(failure(Code::Privilege, format!("{what}: {error}: privileges cannot be dropped")))
}
