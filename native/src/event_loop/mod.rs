//! Node's own libuv loop: a doorbell that another thread rings (`uv_async_t`), readiness of a file descriptor
//! (`uv_poll_t`) and a timer (`uv_timer_t`), each calling one function of JavaScript or of ours.

mod calls;
mod handle;
mod watchers;

pub use calls::{AfterCall, after_calls, has_rung, is_calling};
pub use handle::{Callback, Environment, Target};
pub use watchers::{Bell, Doorbell, LoopTimer, Readiness};
