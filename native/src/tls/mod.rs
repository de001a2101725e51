//! TLS 1.3 with certificates on both sides, for QUIC (RFC 9001).
//!
//! `material`: PEM in, rustls configurations out. `session`: quinn's crypto interface around a rustls QUIC
//! connection, which also tells what was negotiated.

mod material;
mod session;

pub use material::{Material, client_config, server_config};
pub use session::{ClientTls, Negotiated, ServerTls};
