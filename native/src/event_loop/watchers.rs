//! What the event loop watches for the addon: a doorbell, a file descriptor, a point in time.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use crate::event_loop::calls::{calls_of, rings_after, uv_async_send};
use crate::event_loop::handle::{Environment, Handle, Target, Teardown, UvHandle};
use crate::failure::Result;

/// `uv_handle_type` of libuv 1.x (uv.h, UV_HANDLE_TYPE_MAP).
const UV_ASYNC: c_int = 1;
const UV_POLL: c_int = 8;
const UV_TIMER: c_int = 13;
/// `uv_poll_event` (uv.h).
const UV_READABLE: c_int = 1;

// Exported by the node binary; libuv 1.x keeps this interface stable.
unsafe extern "C" {
    fn uv_async_init(uv_loop: *mut c_void, handle: UvHandle, callback: extern "C" fn(UvHandle)) -> c_int;
    fn uv_poll_init(uv_loop: *mut c_void, handle: UvHandle, fd: c_int) -> c_int;
    fn uv_poll_start(handle: UvHandle, events: c_int, callback: extern "C" fn(UvHandle, c_int, c_int)) -> c_int;
    fn uv_poll_stop(handle: UvHandle) -> c_int;
    fn uv_timer_init(uv_loop: *mut c_void, handle: UvHandle) -> c_int;
    fn uv_timer_start(handle: UvHandle, callback: extern "C" fn(UvHandle), timeout: u64, repeat: u64) -> c_int;
    fn uv_timer_stop(handle: UvHandle) -> c_int;
}

extern "C" fn on_event(handle: UvHandle) {
    calls_of(handle);
}

extern "C" fn on_poll(handle: UvHandle, _status: c_int, _events: c_int) {
    calls_of(handle);
}

/// A doorbell. Rings from any thread; several rings before the call are one call.
pub struct Doorbell(Handle);

impl Doorbell {
    pub fn open(environment: Environment, target: Target, teardown: Teardown) -> Result<Doorbell> {
        // SAFETY: the memory has the size that libuv names for this kind.
        Handle::open(environment, target, UV_ASYNC, teardown, |uv_loop, handle| unsafe {
            uv_async_init(uv_loop, handle, on_event)
        })
        .map(Doorbell)
    }

    /// The end that another thread holds.
    ///
    /// # Safety
    /// The thread must be joined before `close`, and by the teardown.
    pub unsafe fn bell(&self) -> Bell {
        Bell(self.0.0)
    }

    pub fn close(self) {
        self.0.close();
    }
}

/// Rings a `Doorbell` from another thread.
pub struct Bell(NonNull<c_void>);

// SAFETY: uv_async_send is the one libuv function that any thread may call (uv.h); `Doorbell::bell`'s
// contract keeps the handle alive.
unsafe impl Send for Bell {}
// SAFETY: as above; concurrent calls of uv_async_send are allowed.
unsafe impl Sync for Bell {}

impl Bell {
    pub fn ring(&self) {
        if rings_after(self.0.as_ptr()) {
            return;
        }
        // SAFETY: the handle is alive by the contract of `Doorbell::bell`.
        unsafe {
            uv_async_send(self.0.as_ptr());
        }
    }
}

/// Readiness of a file descriptor, level-triggered.
pub struct Readiness(Handle);

impl Readiness {
    pub fn open(environment: Environment, target: Target, fd: c_int, teardown: Teardown) -> Result<Readiness> {
        // SAFETY: the memory has the size that libuv names for this kind.
        Handle::open(environment, target, UV_POLL, teardown, |uv_loop, handle| unsafe {
            uv_poll_init(uv_loop, handle, fd)
        })
        .map(Readiness)
    }

    pub fn start(&self) {
        if self.0.is_open() {
            // SAFETY: the handle is alive while `self` is, and not closing.
            unsafe { uv_poll_start(self.0.0.as_ptr(), UV_READABLE, on_poll) };
        }
    }

    pub fn stop(&self) {
        if self.0.is_open() {
            // SAFETY: the handle is alive while `self` is, and not closing.
            unsafe { uv_poll_stop(self.0.0.as_ptr()) };
        }
    }

    /// libuv lets go of the descriptor before this returns: it may be closed then.
    pub fn close(self) {
        self.0.close();
    }
}

/// A timer that calls once.
pub struct LoopTimer(Handle);

impl LoopTimer {
    pub fn open(environment: Environment, target: Target, teardown: Teardown) -> Result<LoopTimer> {
        // SAFETY: the memory has the size that libuv names for this kind.
        Handle::open(environment, target, UV_TIMER, teardown, |uv_loop, handle| unsafe {
            uv_timer_init(uv_loop, handle)
        })
        .map(LoopTimer)
    }

    /// Calls in `delay`, rounded up to milliseconds and never at once; instead of what was asked for before.
    pub fn start(&self, delay: Duration) {
        let milliseconds = u64::try_from(delay.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        if self.0.is_open() {
            // SAFETY: the handle is alive while `self` is, and not closing.
            unsafe { uv_timer_start(self.0.0.as_ptr(), on_event, milliseconds, 0) };
        }
    }

    pub fn stop(&self) {
        if self.0.is_open() {
            // SAFETY: the handle is alive while `self` is, and not closing.
            unsafe { uv_timer_stop(self.0.0.as_ptr()) };
        }
    }

    pub fn close(self) {
        self.0.close();
    }
}
