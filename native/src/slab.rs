//! The caller's buffers, seen for the length of one call: no reference is taken, none is kept.

use std::ptr;

use napi::bindgen_prelude::FromNapiValue;
use napi::{Status, sys};

use crate::failure::{Code, Result, failure};

/// A `Uint8Array` argument. Valid only during the call it was passed to.
pub struct Slab {
    data: *mut u8,
    length: usize,
}

/// A `Uint32Array` argument. Valid only during the call it was passed to.
pub struct Words {
    data: *mut u32,
    length: usize,
}

/// The memory of a typed array of kind `wanted`, in elements; `None` for any other value.
///
/// # Safety
///
/// `env` and `value` are those of the running call.
unsafe fn view<T>(
    env: sys::napi_env,
    value: sys::napi_value,
    wanted: sys::napi_typedarray_type,
) -> Option<(*mut T, usize)> {
    let mut kind = 0;
    let mut length = 0;
    let mut data = ptr::null_mut();
    // SAFETY: `env` and `value` as promised; every out pointer is a live local or null, which
    // napi_get_typedarray_info allows.
    let status = unsafe {
        sys::napi_get_typedarray_info(env, value, &mut kind, &mut length, &mut data, ptr::null_mut(), ptr::null_mut())
    };
    (status == sys::Status::napi_ok && kind == wanted).then(|| (data.cast(), length))
}

impl FromNapiValue for Slab {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> napi::Result<Self> {
        // SAFETY: the values of the running call, as promised here too.
        unsafe { Slab::of(env, value) }
            .ok_or_else(|| napi::Error::new(Status::InvalidArg, "a Uint8Array was expected".to_owned()))
    }
}

impl Slab {
    /// # Safety
    ///
    /// `env` and `value` are those of the running call.
    pub unsafe fn of(env: sys::napi_env, value: sys::napi_value) -> Option<Slab> {
        // SAFETY: as promised.
        let (data, length) = unsafe { view(env, value, sys::TypedarrayType::uint8_array) }?;
        Some(Slab { data, length })
    }

    /// The bytes `[from, to)`.
    pub fn range(&mut self, from: u32, to: u32) -> Result<&mut [u8]> {
        let (start, end) = (from as usize, to as usize);
        if start > end || end > self.length {
            return Err(failure(
                Code::Range,
                format!("range {from}..{to} is not within a slab of {} bytes", self.length),
            ));
        }
        if start == end {
            return Ok(&mut []);
        }
        // SAFETY: V8 keeps the backing store alive and in place while the call runs, JavaScript (its only
        // other user) is stopped meanwhile, and the range was checked against its length.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.data.add(start), end - start) })
    }
}

impl Words {
    /// # Safety
    ///
    /// `env` and `value` are those of the running call.
    pub unsafe fn of(env: sys::napi_env, value: sys::napi_value) -> Option<Words> {
        // SAFETY: as promised.
        let (data, length) = unsafe { view(env, value, sys::TypedarrayType::uint32_array) }?;
        Some(Words { data, length })
    }

    pub fn as_mut_slice(&mut self) -> &mut [u32] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: as in `Slab::range`; V8 aligns a Uint32Array to four bytes.
        unsafe { std::slice::from_raw_parts_mut(self.data, self.length) }
    }
}
