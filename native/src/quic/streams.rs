//! The streams that JavaScript holds, by number: what happens with each packet names its stream so, because to find the
//! native object of a JavaScript object takes longer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::failure::{Code, Result, failure};
use crate::quic::stream::{NativeStream, StreamShared};

#[derive(Default)]
struct Places {
    streams: Vec<Option<Arc<StreamShared>>>,
    free: Vec<u32>,
}

/// Only the thread of the event loop uses it.
#[derive(Default)]
pub struct Streams {
    places: RefCell<Places>,
}

impl Streams {
    /// The stream as an object of JavaScript. It has its place until the object is collected.
    pub fn hold(self: &Rc<Self>, shared: Arc<StreamShared>) -> NativeStream {
        let mut places = self.places.borrow_mut();
        let place = places.free.pop().unwrap_or_else(|| {
            places.streams.push(None);
            places.streams.len() as u32 - 1
        });
        places.streams[place as usize] = Some(Arc::clone(&shared));
        NativeStream { shared, streams: Rc::clone(self), place }
    }

    pub(super) fn forget(&self, place: u32) {
        let mut places = self.places.borrow_mut();
        places.streams[place as usize] = None;
        places.free.push(place);
    }

    /// What `act` does with the stream at `place`.
    pub fn with(&self, place: u32, act: impl FnOnce(&Arc<StreamShared>) -> Result<i32>) -> Result<i64> {
        match self.places.borrow().streams.get(place as usize) {
            Some(Some(stream)) => act(stream).map(i64::from),
            _ => Err(failure(Code::Internal, format!("no stream is held at place {place}"))),
        }
    }
}
