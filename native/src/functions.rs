//! Functions of JavaScript for what happens with each packet, straight on Node-API.
//!
//! A method of napi-rs finds its receiver in a private property, checks its class and keeps books on what it borrows:
//! some 4,700 instructions in 340 cache lines, which on a quiet tunnel come from memory for each packet. A function
//! that is made here knows its object by the pointer it was made with.

use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::ToNapiValue;
use napi::{JsError, check_status, sys};

use crate::failure::{Code, Failure, Result, failure};
use crate::slab::{Slab, Words};

/// The most arguments that a function takes.
const MOST_ARGUMENTS: usize = 4;

/// What a function does; the result becomes a number.
pub type Body = Box<dyn Fn(&Arguments) -> Result<i64>>;

/// The arguments of the running call; what is missing is `undefined`.
pub struct Arguments {
    env: sys::napi_env,
    values: [sys::napi_value; MOST_ARGUMENTS],
}

impl Arguments {
    pub fn number(&self, index: usize) -> Result<u32> {
        let mut number = 0;
        // SAFETY: the environment and a value of the running call; the out pointer is a live local.
        let status = unsafe { sys::napi_get_value_uint32(self.env, self.values[index], &mut number) };
        if status == sys::Status::napi_ok { Ok(number) } else { Err(wrong(index, "a number")) }
    }

    pub fn slab(&self, index: usize) -> Result<Slab> {
        // SAFETY: the environment and a value of the running call.
        unsafe { Slab::of(self.env, self.values[index]) }.ok_or_else(|| wrong(index, "a Uint8Array"))
    }

    pub fn words(&self, index: usize) -> Result<Words> {
        // SAFETY: the environment and a value of the running call.
        unsafe { Words::of(self.env, self.values[index]) }.ok_or_else(|| wrong(index, "a Uint32Array"))
    }
}

fn wrong(index: usize, expected: &str) -> Failure {
    failure(Code::Internal, format!("argument {}: {expected} was expected", index + 1))
}

/// An object of JavaScript with these functions.
pub struct Functions<const N: usize>(pub [(&'static str, Body); N]);

impl<const N: usize> ToNapiValue for Functions<N> {
    unsafe fn to_napi_value(env: sys::napi_env, functions: Self) -> napi::Result<sys::napi_value> {
        let mut object = ptr::null_mut();
        // SAFETY: the environment of the running call; the out pointer is a live local.
        check_status!(unsafe { sys::napi_create_object(env, &mut object) })?;
        for (name, body) in functions.0 {
            // SAFETY: as above.
            let function = unsafe { function(env, name, body) }?;
            let mut key = ptr::null_mut();
            // SAFETY: as above; `name` is alive and of the length given.
            check_status!(unsafe {
                sys::napi_create_string_utf8(env, name.as_ptr().cast(), name.len() as isize, &mut key)
            })?;
            // SAFETY: values that were made in this call.
            check_status!(unsafe { sys::napi_set_property(env, object, key, function) })?;
        }
        Ok(object)
    }
}

/// # Safety
///
/// Called from JavaScript, with the environment of the running call.
unsafe fn function(env: sys::napi_env, name: &str, body: Body) -> napi::Result<sys::napi_value> {
    let body = Box::into_raw(Box::new(body)).cast::<c_void>();
    let mut function = ptr::null_mut();
    // SAFETY: `name` is alive and of the length given, and `body` lives as long as the function: `free` comes with its
    // collection.
    unsafe {
        let (start, length) = (name.as_ptr().cast(), name.len() as isize);
        let mut status = sys::napi_create_function(env, start, length, Some(call), body, &mut function);
        if status == sys::Status::napi_ok {
            status = sys::napi_add_finalizer(env, function, body, Some(free), ptr::null_mut(), ptr::null_mut());
        }
        if status != sys::Status::napi_ok {
            drop(Box::from_raw(body.cast::<Body>()));
        }
        check_status!(status)?;
    }
    Ok(function)
}

unsafe extern "C" fn free(_: sys::napi_env, body: *mut c_void, _: *mut c_void) {
    // SAFETY: made by `function`, and freed once, with the function that used it.
    drop(unsafe { Box::from_raw(body.cast::<Body>()) });
}

unsafe extern "C" fn call(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let mut values = [ptr::null_mut(); MOST_ARGUMENTS];
    let mut count = values.len();
    let mut body = ptr::null_mut();
    // SAFETY: Node calls with a live environment and call; the out pointers are live locals, `count` values long.
    // `body` is what `function` gave, and outlives the call.
    unsafe {
        sys::napi_get_cb_info(env, info, &mut count, values.as_mut_ptr(), ptr::null_mut(), &mut body);
        let body = &*body.cast::<Body>();
        match body(&Arguments { env, values }) {
            Ok(number) => {
                let mut result = ptr::null_mut();
                sys::napi_create_int64(env, number, &mut result);
                result
            }
            Err(error) => {
                JsError::from(error).throw_into(env);
                ptr::null_mut()
            }
        }
    }
}
