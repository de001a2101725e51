//! One handle of libuv with the function that it calls.
//!
//! A handle lives on the heap until libuv's close callback ran. Node waits for that callback at the end of
//! an environment (napi_add_async_cleanup_hook), so neither a worker nor the process leaves one behind.

use std::alloc::{self, Layout};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use napi::bindgen_prelude::FromNapiValue;
use napi::sys;

use crate::failure::{Code, Result, failure};

/// The alignment that malloc gives and libuv's structures need.
const HANDLE_ALIGN: usize = 16;

pub(super) type UvHandle = *mut c_void;

// Exported by the node binary; libuv 1.x keeps this interface stable.
unsafe extern "C" {
    fn uv_handle_size(kind: c_int) -> usize;
    fn uv_handle_set_data(handle: UvHandle, data: *mut c_void);
    fn uv_handle_get_data(handle: UvHandle) -> *mut c_void;
    fn uv_close(handle: UvHandle, callback: extern "C" fn(UvHandle));
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

impl Callback {
    pub fn environment(&self) -> Environment {
        Environment(self.env)
    }
}

/// Where a handle lives: Node's environment of the running call.
#[derive(Clone, Copy)]
pub struct Environment(sys::napi_env);

/// Makes the arguments of a call.
pub type Arguments = Box<dyn Fn() -> [u32; 2]>;

/// What a handle calls.
pub enum Target {
    Function(Callback),
    FunctionWith(Callback, Arguments),
    Native(Box<dyn Fn()>),
}

enum Called {
    Function { reference: sys::napi_ref, scope: Scope, arguments: Option<Arguments> },
    Native(Box<dyn Fn()>),
}

/// What to do, once, when the environment ends before `close` was called: stop what uses the handle.
pub type Teardown = Box<dyn FnOnce()>;

struct Inner {
    env: sys::napi_env,
    called: Called,
    hook: sys::napi_async_cleanup_hook_handle,
    teardown: Option<Teardown>,
    layout: Layout,
    closing: bool,
}

/// One libuv handle with its JavaScript function. Only the thread of the environment may use it, except
/// for what `Bell` does.
#[derive(Clone, Copy)]
pub struct Handle(pub(super) NonNull<c_void>);

impl Called {
    fn of(env: sys::napi_env, target: Target) -> Result<Called> {
        let (function, arguments) = match target {
            Target::Native(function) => return Ok(Called::Native(function)),
            Target::Function(function) => (function, None),
            Target::FunctionWith(function, arguments) => (function, Some(arguments)),
        };
        let mut reference = ptr::null_mut();
        // SAFETY: called from JavaScript with the environment and value of the running call; the out pointer is a
        // live local.
        if unsafe { sys::napi_create_reference(env, function.value, 1, &mut reference) } != sys::Status::napi_ok {
            return Err(failure(Code::Internal, "the callback is not a function"));
        }
        // SAFETY: as above.
        match unsafe { Scope::open(env) } {
            Ok(scope) => Ok(Called::Function { reference, scope, arguments }),
            Err(error) => {
                // SAFETY: made above.
                unsafe { sys::napi_delete_reference(env, reference) };
                Err(error)
            }
        }
    }

    fn release(self, env: sys::napi_env) {
        if let Called::Function { reference, scope, .. } = self {
            // SAFETY: made by `of` in this environment, which has not ended; released once.
            unsafe {
                sys::napi_delete_reference(env, reference);
                sys::napi_async_destroy(env, scope.context);
            }
        }
    }
}

/// The asynchronous context of a handle's function, in which Node sees to promises and ticks.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    env: sys::napi_env,
    context: sys::napi_async_context,
}

impl Scope {
    /// # Safety
    ///
    /// Called from JavaScript with the environment of the running call.
    unsafe fn open(env: sys::napi_env) -> Result<Scope> {
        let name = "zgate";
        let (mut text, mut context) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: as promised; the out pointers are live locals, and `name` is alive and of the length given.
        let status = unsafe {
            sys::napi_create_string_utf8(env, name.as_ptr().cast(), name.len() as isize, &mut text);
            sys::napi_async_init(env, ptr::null_mut(), text, &mut context)
        };
        if status != sys::Status::napi_ok {
            return Err(failure(Code::Internal, "Node makes no asynchronous context"));
        }
        Ok(Scope { env, context })
    }

    /// Runs what promises and ticks wait for, as Node does after each call that it makes itself.
    pub(super) fn settle(&self) {
        // SAFETY: on the thread of the environment, before the handle that this belongs to is closed: libuv closes
        // handles after the callbacks of an event. Every value lives in the scope opened here.
        unsafe {
            let mut handles = ptr::null_mut();
            if sys::napi_open_handle_scope(self.env, &mut handles) != sys::Status::napi_ok {
                return;
            }
            let mut scope = ptr::null_mut();
            let resource = ptr::null_mut();
            if sys::napi_open_callback_scope(self.env, resource, self.context, &mut scope) == sys::Status::napi_ok {
                sys::napi_close_callback_scope(self.env, scope);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }
}

impl Handle {
    pub(super) fn open(
        environment: Environment,
        target: Target,
        kind: c_int,
        teardown: Teardown,
        init: impl FnOnce(*mut c_void, UvHandle) -> c_int,
    ) -> Result<Handle> {
        let env = environment.0;
        let mut uv_loop = ptr::null_mut();
        // SAFETY: called from JavaScript with the environment of the running call; the out pointer is a live local.
        if unsafe { sys::napi_get_uv_event_loop(env, &mut uv_loop) } != sys::Status::napi_ok {
            return Err(failure(Code::Internal, "the event loop of Node cannot be reached"));
        }
        let called = Called::of(env, target)?;
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
            }
            called.release(env);
            return Err(failure(Code::Internal, format!("libuv: {}", std::io::Error::from_raw_os_error(-status))));
        }
        let inner = Box::into_raw(Box::new(Inner {
            env,
            called,
            hook: ptr::null_mut(),
            teardown: Some(teardown),
            layout,
            closing: false,
        }));
        // SAFETY: the handle was initialised; `inner` lives until `on_closed` frees it, and the hook is
        // removed there, so its argument is never dangling.
        unsafe {
            uv_handle_set_data(handle.as_ptr(), inner.cast());
            sys::napi_add_async_cleanup_hook(env, Some(on_environment_end), handle.as_ptr(), &mut (*inner).hook);
        }
        Ok(Handle(handle))
    }

    /// False from `close` on, and from the end of the environment.
    pub(super) fn is_open(self) -> bool {
        // SAFETY: the handle is alive until `on_closed`, after its owner forgot it.
        unsafe { !(*uv_handle_get_data(self.0.as_ptr()).cast::<Inner>()).closing }
    }

    /// Starts closing; the memory is freed when libuv is done with it. Idempotent as long as the handle's
    /// owner forgets it afterwards.
    pub(super) fn close(self) {
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
        inner.called.release(inner.env);
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

/// Calls the function of a handle. What it throws becomes an uncaught exception. Gives the scope that is to be settled
/// when JavaScript was called.
pub(super) fn call(handle: UvHandle) -> Option<Scope> {
    // SAFETY: libuv calls on the thread of the environment, between `open` and `on_closed`; every value
    // made here lives in the scope opened here.
    unsafe {
        let inner = uv_handle_get_data(handle).cast::<Inner>();
        if (*inner).closing {
            return None;
        }
        let env = (*inner).env;
        let (callback, settled, arguments) = match &(*inner).called {
            Called::Native(function) => {
                function();
                return None;
            }
            Called::Function { reference, scope, arguments } => {
                (*reference, *scope, arguments.as_ref().map(|make| make()))
            }
        };
        let mut scope = ptr::null_mut();
        if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
            return None;
        }
        let mut function = ptr::null_mut();
        let mut receiver = ptr::null_mut();
        sys::napi_get_reference_value(env, callback, &mut function);
        sys::napi_get_undefined(env, &mut receiver);
        let mut values = [ptr::null_mut(); 2];
        for (value, argument) in values.iter_mut().zip(arguments.iter().flatten()) {
            sys::napi_create_uint32(env, *argument, value);
        }
        let count = if arguments.is_some() { values.len() } else { 0 };
        let status = sys::napi_call_function(env, receiver, function, count, values.as_ptr(), ptr::null_mut());
        if status == sys::Status::napi_pending_exception {
            let mut thrown = ptr::null_mut();
            if sys::napi_get_and_clear_last_exception(env, &mut thrown) == sys::Status::napi_ok {
                sys::napi_fatal_exception(env, thrown);
            }
        }
        sys::napi_close_handle_scope(env, scope);
        Some(settled)
    }
}
