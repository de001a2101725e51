//! The only place that names the QUIC library, so that another with quinn's interface can be measured
//! against it by changing these lines and Cargo.toml.

pub use quinn::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout,
    Incoming, MtuDiscoveryConfig, ReadError, RecvStream, Runtime, SendDatagramError, SendStream, ServerConfig,
    TransportConfig, UdpPoller, VarInt, WriteError, congestion, udp,
};
pub use quinn_proto::HashedConnectionIdGenerator;
