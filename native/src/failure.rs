//! Errors with a code of `shared/errors.ts`. `addon.ts` turns them into `ZgateError`.

/// A code of `ERROR_CODES` in shared/errors.ts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Internal,
    TlsMaterial,
    TlsHandshake,
    Udp,
    Tun,
    Privilege,
    ConnectFailed,
    ConnectionClosed,
    Range,
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        match self {
            Code::Internal => "ZG_NATIVE_FAILED",
            Code::TlsMaterial => "ZG_TLS_MATERIAL",
            Code::TlsHandshake => "ZG_TLS_HANDSHAKE",
            Code::Udp => "ZG_UDP",
            Code::Tun => "ZG_TUN",
            Code::Privilege => "ZG_PRIVILEGE",
            Code::ConnectFailed => "ZG_CONNECT_FAILED",
            Code::ConnectionClosed => "ZG_CONNECTION_CLOSED",
            Code::Range => "ERR_OUT_OF_RANGE",
        }
    }
}

pub type Failure = napi::Error<Code>;
pub type Result<T, E = Failure> = std::result::Result<T, E>;

pub fn failure(code: Code, message: impl Into<String>) -> Failure {
    napi::Error::new(code, message.into())
}
