//! One UDP socket with its QUIC thread, seen from JavaScript.
//!
//! ```text
//!   JavaScript thread                          tasks, on the QUIC thread or between two events of Node (executor/)
//!   NativeEndpoint ──── commands ────────────▶ endpoint task ── quinn::Endpoint
//!   NativeConnection                           connection tasks: accept, datagrams, closed
//!   NativeStream ══ send queue ══════════════▶ send task   ── quinn::SendStream
//!   NativeStream ◀═ receive queue ═════════════ receive task ── quinn::RecvStream
//!   drain()/nextNotice() ◀── mailbox, doorbell ── all of them
//! ```

mod bridge;
mod connection;
mod endpoint;
mod half;
mod handshakes;
mod identity;
pub mod lib_alias;
mod mailbox;
mod queue;
mod receive;
mod send;
mod steps;
mod stream;
mod streams;
mod thread;
mod transport;
