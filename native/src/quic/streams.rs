//! The streams that JavaScript holds, by number: what happens with each packet names its stream so, because to find the
//! native object of a JavaScript object takes longer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::failure::{Code, Result, failure};
use crate::places::Places;
use crate::quic::stream::{NativeStream, StreamShared};

/// Only the thread of the event loop uses it.
#[derive(Default)]
pub struct Streams {
    places: RefCell<Places<Arc<StreamShared>>>,
}

impl Streams {
    /// The stream as an object of JavaScript. It has its place until the object is collected.
    pub fn hold(self: &Rc<Self>, shared: Arc<StreamShared>) -> NativeStream {
        let place = self.places.borrow_mut().hold(Arc::clone(&shared)) as u32;
        NativeStream { shared, streams: Rc::clone(self), place }
    }

    pub(super) fn forget(&self, place: u32) {
        self.places.borrow_mut().forget(place as usize);
    }

    /// What `act` does with the stream at `place`.
    pub fn with(&self, place: u32, act: impl FnOnce(&Arc<StreamShared>) -> Result<i32>) -> Result<i64> {
        match self.places.borrow().get(place as usize) {
            Some(stream) => act(stream).map(i64::from),
            None => Err(failure(Code::Internal, format!("no stream is held at place {place}"))),
        }
    }
}
