//! A call that came from the event loop, and what follows from it on the same thread without another wake-up: doorbells
//! that it rang, turns that it asked for.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::event_loop::handle::{Scope, UvHandle, call};

/// Rounds of calls that follow from one call of the event loop, before it sees to what else waits.
const FOLLOWING_CALLS: u32 = 8;

unsafe extern "C" {
    pub(super) fn uv_async_send(handle: UvHandle) -> std::ffi::c_int;
}

/// What has something to do when a call is over.
pub trait AfterCall {
    /// Whether there was something.
    fn after_call(&self) -> bool;
    /// What there is now comes with an event of its own.
    fn put_off(&self);
}

#[derive(Default)]
struct Calls {
    calling: Cell<bool>,
    /// Doorbells that were rung by the running call.
    rung: RefCell<Vec<UvHandle>>,
    after: RefCell<Vec<Weak<dyn AfterCall>>>,
    /// Where JavaScript ran since promises and ticks were last seen to.
    unsettled: Cell<Option<Scope>>,
}

thread_local! {
    static CALLS: Calls = Calls::default();
}

/// Whether this is the thread of an event loop, in a call that came from it through this file.
pub fn is_calling() -> bool {
    CALLS.with(|calls| calls.calling.get())
}

/// `after` is asked after each call, as long as it lives.
pub fn after_calls<T: AfterCall + 'static>(after: &Rc<T>) {
    let after: Weak<T> = Rc::downgrade(after);
    CALLS.with(|calls| calls.after.borrow_mut().push(after));
}

/// Whether the running call rang a doorbell.
pub fn has_rung() -> bool {
    CALLS.with(|calls| !calls.rung.borrow().is_empty())
}

/// A call of the event loop, and what follows from it on this thread: what a call made ready needs no other wake-up.
/// Promises and ticks come when nothing else follows, which keeps them out of a packet's way.
pub(super) fn calls_of(handle: UvHandle) {
    CALLS.with(|calls| {
        calls.calling.set(true);
        calls.call(handle);
        for _ in 0..FOLLOWING_CALLS {
            if !calls.follow() && !calls.settle() {
                break;
            }
        }
        calls.settle();
        calls.calling.set(false);
        // The rest comes after what else waits for the event loop.
        for handle in calls.rung.borrow_mut().drain(..) {
            // SAFETY: rung by a call that is not over yet, so its memory has not been given back.
            unsafe { uv_async_send(handle) };
        }
        calls.any_after(|after| {
            after.put_off();
            false
        });
    });
}

impl Calls {
    fn call(&self, handle: UvHandle) {
        if let Some(scope) = call(handle) {
            self.unsettled.set(Some(scope));
        }
    }

    /// Whether something followed.
    fn follow(&self) -> bool {
        let rung = std::mem::take(&mut *self.rung.borrow_mut());
        let rang = !rung.is_empty();
        for handle in rung {
            self.call(handle);
        }
        self.any_after(|after| after.after_call()) || rang
    }

    /// Runs what promises and ticks wait for; whether JavaScript was called since the last time.
    fn settle(&self) -> bool {
        let scope = self.unsettled.take();
        if let Some(scope) = &scope {
            scope.settle();
        }
        scope.is_some()
    }

    /// Asks each that lives; whether one said yes.
    fn any_after(&self, ask: impl Fn(&dyn AfterCall) -> bool) -> bool {
        let mut any = false;
        let mut index = 0;
        loop {
            let Some(after) = self.after.borrow().get(index).map(Weak::upgrade) else { return any };
            match after {
                Some(after) => {
                    any |= ask(&*after);
                    index += 1;
                }
                None => {
                    self.after.borrow_mut().swap_remove(index);
                }
            }
        }
    }
}

/// Keeps a doorbell that the running call rang; false when none is running on this thread.
pub(super) fn rings_after(handle: UvHandle) -> bool {
    CALLS.with(|calls| {
        let calling = calls.calling.get();
        if calling {
            calls.rung.borrow_mut().push(handle);
        }
        calling
    })
}
