//! What QUIC's tasks run on: one queue of tasks, one set of timers, one epoll instance, driven by one thread at a
//! time. Under load that is the QUIC thread, so that encryption and JavaScript each have a core. A tunnel that
//! carries a packet now and then is driven by the event loop of Node itself: each change of thread on the way of a
//! packet costs a wake-up and the caches of another core (docs/performance.md).
//!
//! ```text
//!                 quiet for a while ───▶
//!   QUIC thread                            event loop: uv_poll on the epoll instance, uv_timer
//!                 ◀─── much to do, a handshake, the end
//! ```

mod outbox;
mod reactor;
mod shift;
mod socket;
mod tasks;
#[cfg(test)]
pub mod tests;
mod timers;
mod turns;

use std::task::Waker;

pub use socket::Socket;
pub use tasks::Executor;
pub use timers::{Timer, timeout};
pub use turns::LoopSide;

pub fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
