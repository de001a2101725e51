//! Node's own libuv loop: a doorbell that another thread rings (`uv_async_t`) and readiness of a file
//! descriptor (`uv_poll_t`), both calling one JavaScript function.
//!
//! A handle lives on the heap until libuv's close callback ran. Node waits for that callback at the end of
//! an environment (napi_add_async_cleanup_hook), so neither a worker nor the process leaves one behind.

use std::alloc::{self, Layout};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use napi::bindgen_prelude::FromNapiValue;
use napi::sys;

use crate::failure::{Code, Result, failure};

/// `uv_handle_type` of libuv 1.x (uv.h, UV_HANDLE_TYPE_MAP).
const UV_ASYNC: c_int = 1;
const UV_POLL: c_int = 8;
/// `uv_poll_event` (uv.h).
const UV_READABLE: c_int = 1;
/// The alignment that malloc gives and libuv's structures need.
const HANDLE_ALIGN: usize = 16;

type UvHandle = *mut c_void;

// Exported by the node binary; libuv 1.x keeps this interface stable.
unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_set_data(handle: UvHandle, data: *mut c_void);
    fn uv_handle_get_data(handle: UvHandle) -> *mut c_void;
    fn uv_close(handle: UvHandle, callback: extern "C" fn(UvHandle));
    fn uv_async_init(uv_loop: *mut c_void, handle: UvHandle, callback: extern "C" fn(UvHandle)) -> c_int;
    fn uv_async_send(handle: UvHandle) -> c_int;
    fn uv_poll_init(uv_loop: *mut c_void, handle: UvHandle, fd: c_int) -> c_int;
    fn uv_poll_start(handle: UvHandle, events: c_int, callback: extern "C" fn(UvHandle, c_int, c_int)) -> c_int;
    fn uv_poll_stop(handle: UvHandle) -> c_int;
}

/// A JavaScript function argument, before a reference to it is made.
pub struct Callback {
    env: sys::napi_env,
    value: sys::napi_value,
}

impl FromNapiValue for Callback {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        Ok(Callback { env, value })
    }
}

/// What to do, once, when the environment ends before `close` was called: stop what uses the handle.
type Teardown = Box<dyn FnOnce()>;

struct Inner {
    env: sys::napi_env,
    callback: sys::napi_ref,
    hook: sys::napi_async_cleanup_hook_handle,
    teardown: Option<Teardown>,
    layout: Layout,
    closing: bool,
}

/// One libuv handle with its JavaScript function. Only the thread of the environment may use it, except
/// for what `Bell` does.
#[derive(Clone, Copy)]
struct Handle(NonNull<c_void>);

impl Handle {
    fn open(
        callback: &Callback,
        kind: c_int,
        teardown: Teardown,
        init: impl FnOnce(*mut c_void, UvHandle) -> c_int,
    ) -> Result<Handle> {
        let mut uv_loop = ptr::null_mut();
        let mut reference = ptr::null_mut();
        // SAFETY: called from JavaScript with the environment and value of the running call; the out
        // pointers are live locals.
        let ready = unsafe {
            sys::napi_get_uv_event_loop(callback.env, &mut uv_loop) == sys::Status::napi_ok
                && sys::napi_create_reference(callback.env, callback.value, 1, &mut reference) == sys::Status::napi_ok
        };
        if !ready {
            return Err(failure(Code::Internal, "the event loop of Node cannot be reached"));
        }
        // SAFETY: a pure function of libuv.
        let size = unsafe { uv_handle_size(kind) };
        let layout = Layout::from_size_align(size, HANDLE_ALIGN)
            .map_err(|_| failure(Code::Internal, "libuv names an impossible handle size"))?;
        // SAFETY: the layout is not empty: every libuv handle has fields.
        let memory = unsafe { alloc::alloc_zeroed(layout) };
        let Some(handle) = NonNull::new(memory.cast::<c_void>()) else { alloc::handle_alloc_error(layout) };
        let status = init(uv_loop.cast(), handle.as_ptr());
        if status != 0 {
            // SAFETY: libuv refused the handle and keeps no pointer to it; the reference was made above.
            unsafe {
                alloc::dealloc(memory, layout);
                sys::napi_delete_reference(callback.env, reference);
            }
            return Err(failure(Code::Internal, format!("libuv: {}", std::io::Error::from_raw_os_error(-status))));
        }
        let inner = Box::into_raw(Box::new(Inner {
            env: callback.env,
            callback: reference,
            hook: ptr::null_mut(),
            teardown: Some(teardown),
            layout,
            closing: false,
        }));
        // SAFETY: the handle was initialised; `inner` lives until `on_closed` frees it, and the hook is
        // removed there, so its argument is never dangling.
        unsafe {
            uv_handle_set_data(handle.as_ptr(), inner.cast());
            sys::napi_add_async_cleanup_hook(
                callback.env,
                Some(on_environment_end),
                handle.as_ptr(),
                &mut (*inner).hook,
            );
        }
        Ok(Handle(handle))
    }

    /// Starts closing; the memory is freed when libuv is done with it. Idempotent as long as the handle's
    /// owner forgets it afterwards.
    fn close(self) {
        // SAFETY: the handle is alive until `on_closed`, and its owner calls `close` at most once.
        unsafe {
            let inner = uv_handle_get_data(self.0.as_ptr()).cast::<Inner>();
            if !(*inner).closing {
                (*inner).closing = true;
                (*inner).teardown = None;
                uv_close(self.0.as_ptr(), on_closed);
            }
        }
    }
}

extern "C" fn on_closed(handle: UvHandle) {
    // SAFETY: libuv calls this once, with the handle that `Handle::open` made; nothing uses it afterwards.
    unsafe {
        let inner = Box::from_raw(uv_handle_get_data(handle).cast::<Inner>());
        sys::napi_delete_reference(inner.env, inner.callback);
        sys::napi_remove_async_cleanup_hook(inner.hook);
        alloc::dealloc(handle.cast(), inner.layout);
    }
}

extern "C" fn on_environment_end(_: sys::napi_async_cleanup_hook_handle, handle: *mut c_void) {
    // SAFETY: the hook is removed in `on_closed`, so the handle is alive here.
    unsafe {
        let inner = uv_handle_get_data(handle).cast::<Inner>();
        if let Some(teardown) = (*inner).teardown.take() {
            teardown();
        }
        if !(*inner).closing {
            (*inner).closing = true;
            uv_close(handle, on_closed);
        }
    }
}

/// Calls the JavaScript function of a handle. What it throws becomes an uncaught exception.
fn call(handle: UvHandle) {
    // SAFETY: libuv calls on the thread of the environment, between `open` and `on_closed`; every value
    // made here lives in the scope opened here.
    unsafe {
        let inner = uv_handle_get_data(handle).cast::<Inner>();
        if (*inner).closing {
            return;
        }
        let env = (*inner).env;
        let mut scope = ptr::null_mut();
        if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
            return;
        }
        let mut function = ptr::null_mut();
        let mut receiver = ptr::null_mut();
        sys::napi_get_reference_value(env, (*inner).callback, &mut function);
        sys::napi_get_global(env, &mut receiver);
        let status = sys::napi_make_callback(env, ptr::null_mut(), receiver, function, 0, ptr::null(), ptr::null_mut());
        if status == sys::Status::napi_pending_exception {
            let mut thrown = ptr::null_mut();
            if sys::napi_get_and_clear_last_exception(env, &mut thrown) == sys::Status::napi_ok {
                sys::napi_fatal_exception(env, thrown);
            }
        }
        sys::napi_close_handle_scope(env, scope);
    }
}

extern "C" fn on_async(handle: UvHandle) {
    call(handle);
}

extern "C" fn on_poll(handle: UvHandle, _status: c_int, _events: c_int) {
    call(handle);
}

/// A doorbell. Rings from any thread; several rings before the call are one call.
pub struct Doorbell(Handle);

impl Doorbell {
    pub fn open(callback: &Callback, teardown: Teardown) -> Result<Doorbell> {
        // SAFETY: the memory has the size that libuv names for this kind.
        Handle::open(callback, UV_ASYNC, teardown, |uv_loop, handle| unsafe {
            uv_async_init(uv_loop, handle, on_async)
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
        // SAFETY: the handle is alive by the contract of `Doorbell::bell`.
        unsafe {
            uv_async_send(self.0.as_ptr());
        }
    }
}

/// Readiness of a file descriptor, level-triggered.
pub struct Readiness(Handle);

impl Readiness {
    pub fn open(callback: &Callback, fd: c_int, teardown: Teardown) -> Result<Readiness> {
        // SAFETY: the memory has the size that libuv names for this kind.
        Handle::open(callback, UV_POLL, teardown, |uv_loop, handle| unsafe { uv_poll_init(uv_loop, handle, fd) })
            .map(Readiness)
    }

    pub fn start(&self) {
        // SAFETY: the handle is alive while `self` is.
        unsafe {
            uv_poll_start(self.0.0.as_ptr(), UV_READABLE, on_poll);
        }
    }

    pub fn stop(&self) {
        // SAFETY: the handle is alive while `self` is.
        unsafe {
            uv_poll_stop(self.0.0.as_ptr());
        }
    }

    /// libuv lets go of the descriptor before this returns: it may be closed then.
    pub fn close(self) {
        self.0.close();
    }
}
