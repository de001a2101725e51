//! The endpoint's own tasks, and the QUIC thread.

use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use tokio::sync::mpsc;

use crate::constants::HANDSHAKE_TIMEOUT;
use crate::executor::{Executor, Socket, Timer, timeout};
use crate::failure::{Code, Result, failure};
use crate::quic::bridge::{Bridge, PanicWatch};
use crate::quic::connection::{ConnectionShared, address_text, closed_by};
use crate::quic::handshakes::{Admission, Handshake, HandshakeGate, HandshakeLimits};
use crate::quic::lib_alias::{
    AsyncTimer, AsyncUdpSocket, ClientConfig, ConnectionError, Endpoint, EndpointConfig, Incoming, Runtime,
    ServerConfig, VarInt,
};
use crate::quic::mailbox::{Closed, Failed, Notice};
use crate::quic::steps::{Driver, Place, Steps};

/// A TLS alert A is the transport error 0x100 + A (RFC 9001 section 4.8).
const CRYPTO_ERROR: std::ops::RangeInclusive<i64> = 0x100..=0x1ff;
/// CONNECTION_REFUSED (RFC 9000 section 20.1).
const CONNECTION_REFUSED: i64 = 0x02;
/// Ours, `HandshakeRefusal` in shared/native/quic.ts: the peer was told CONNECTION_REFUSED as well.
const PREFIX_REFUSED: i64 = -2;

pub enum Command {
    Connect { ticket: u32, remote: SocketAddr, server_name: String, config: ClientConfig },
    SetServer(ServerConfig),
    Rebind(UdpSocket),
    Close { code: VarInt, reason: String, flush: Duration },
}

/// Spawns a task of ours; its panic is told.
pub fn spawn(bridge: &Arc<Bridge>, future: impl Future<Output = ()> + Send + 'static) {
    bridge.executor.spawn(Box::pin(watched(bridge, future)));
}

fn watched<F: Future<Output = ()> + Send>(bridge: &Arc<Bridge>, future: F) -> impl Future<Output = ()> + Send + use<F> {
    let watch = PanicWatch(Arc::clone(bridge));
    async move {
        let _watch = watch;
        future.await;
    }
}

/// Our executor for quinn, with quinn's own tasks watched like ours.
struct WatchedRuntime {
    bridge: Arc<Bridge>,
    steps: Arc<Steps>,
}

impl fmt::Debug for WatchedRuntime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WatchedRuntime")
    }
}

impl Runtime for WatchedRuntime {
    fn new_timer(&self, when: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(Timer::new(&self.bridge.executor, when))
    }

    fn spawn(&self, future: Driver) {
        let Bridge { executor, .. } = &*self.bridge;
        executor.spawn_driver(Box::pin(watched(&self.bridge, self.steps.drive(executor, future))));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(Socket::new(socket, &self.bridge.executor)?))
    }
}

pub struct QuicThread {
    pub commands: mpsc::UnboundedSender<Command>,
    handle: thread::JoinHandle<()>,
}

impl QuicThread {
    pub fn start(
        socket: UdpSocket,
        config: EndpointConfig,
        server: Option<ServerConfig>,
        limits: HandshakeLimits,
        bridge: Arc<Bridge>,
    ) -> Result<QuicThread> {
        let steps = Arc::new(Steps::default());
        let watched = WatchedRuntime { bridge: Arc::clone(&bridge), steps: Arc::clone(&steps) };
        let endpoint = Endpoint::new(config, server, socket, Arc::new(watched))
            .map_err(|error| failure(Code::Udp, format!("the UDP socket cannot be used for QUIC: {error}")))?;
        let (commands, inbox) = mpsc::unbounded_channel();
        spawn(&bridge, serve(endpoint, limits, steps, Arc::clone(&bridge), inbox));
        let executor = Arc::clone(&bridge.executor);
        let handle = thread::Builder::new()
            .name("zgate-quic".into())
            .spawn(move || {
                let _watch = PanicWatch(Arc::clone(&bridge));
                bridge.executor.run();
                // Every task was dropped, and with them the socket.
                bridge.mailbox.notice(Notice::EndpointClosed);
            })
            .map_err(|error| {
                executor.end();
                executor.run();
                failure(Code::Udp, format!("the QUIC thread cannot be started: {error}"))
            })?;
        Ok(QuicThread { commands, handle })
    }

    /// A panic of the thread was told by `PanicWatch`.
    pub fn join(self) {
        drop(self.commands);
        let _ = self.handle.join();
    }
}

/// Ends the executor when the task that holds it ends, however that comes.
struct AtEnd(Arc<Executor>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn serve(
    endpoint: Endpoint,
    limits: HandshakeLimits,
    steps: Arc<Steps>,
    bridge: Arc<Bridge>,
    mut inbox: mpsc::UnboundedReceiver<Command>,
) {
    let _end = AtEnd(Arc::clone(&bridge.executor));
    let calling = (Arc::clone(&steps), Arc::clone(&bridge.executor));
    spawn(&bridge, async move { calling.0.call(&calling.1).await });
    spawn(&bridge, accept(endpoint.clone(), limits, steps, Arc::clone(&bridge)));
    while let Some(command) = inbox.recv().await {
        match command {
            Command::Connect { ticket, remote, server_name, config } => {
                connect(&endpoint, ticket, remote, &server_name, config, &bridge);
            }
            Command::SetServer(config) => endpoint.set_server_config(Some(config)),
            Command::Rebind(socket) => {
                if let Err(error) = endpoint.rebind(socket) {
                    bridge.mailbox.notice(Notice::Panicked(format!("rebind: the new UDP socket failed: {error}")));
                }
            }
            Command::Close { code, reason, flush } => {
                endpoint.close(code, reason.as_bytes());
                // Not idle in time: a peer does not answer. It was told, or is not there.
                let _ = timeout(&bridge.executor, flush, endpoint.wait_idle()).await;
                return;
            }
        }
    }
}

async fn accept(endpoint: Endpoint, limits: HandshakeLimits, steps: Arc<Steps>, bridge: Arc<Bridge>) {
    let gate = HandshakeGate::new(limits);
    while let Some(incoming) = endpoint.accept().await {
        let address = incoming.remote_address();
        let remote = address_text(address);
        match gate.admit(address.ip(), incoming.remote_address_validated()) {
            Admission::Take(handshake) => {
                spawn(&bridge, shake_hands(incoming, remote, handshake, Arc::clone(&steps), Arc::clone(&bridge)));
            }
            Admission::Retry => {
                bridge.retries.fetch_add(1, Ordering::Relaxed);
                // Fails only for an Initial that may not be retried, which was asked.
                let _ = incoming.retry();
            }
            Admission::Full(count) => {
                let reason = format!("{count} handshakes are in progress, no more are taken");
                refuse(&bridge, incoming, remote, CONNECTION_REFUSED, reason);
            }
            Admission::PrefixFull(count) => {
                let reason = format!("{count} handshakes from this network are in progress, no more are taken");
                refuse(&bridge, incoming, remote, PREFIX_REFUSED, reason);
            }
        }
    }
}

fn refuse(bridge: &Bridge, incoming: Incoming, remote: String, code: i64, reason: String) {
    incoming.refuse();
    bridge.mailbox.notice(Notice::Refused { remote, closed: Closed { source: "transport", code, reason } });
}

async fn shake_hands(
    incoming: Incoming,
    remote: String,
    _handshake: Handshake,
    steps: Arc<Steps>,
    bridge: Arc<Bridge>,
) {
    let _hold = bridge.executor.hold();
    let place = Arc::new(Place::default());
    let connecting = async {
        steps.enter(&place).await;
        steps.accept(&place, || incoming.accept())?.await
    };
    match timeout(&bridge.executor, HANDSHAKE_TIMEOUT, connecting).await {
        Some(Ok(connection)) => {
            place.complete();
            let connection = ConnectionShared::start(connection, &bridge);
            bridge.mailbox.notice(Notice::Accepted(connection));
        }
        Some(Err(error)) => {
            let mut closed = closed_by(&error);
            if matches!(error, ConnectionError::TimedOut) {
                closed.code = -1;
            }
            bridge.mailbox.notice(Notice::Refused { remote, closed });
        }
        None => {
            let reason = format!("the handshake was not complete within {} s", HANDSHAKE_TIMEOUT.as_secs());
            let closed = Closed { source: "idle-timeout", code: -1, reason };
            bridge.mailbox.notice(Notice::Refused { remote, closed });
        }
    }
}

fn connect(
    endpoint: &Endpoint,
    ticket: u32,
    remote: SocketAddr,
    server_name: &str,
    config: ClientConfig,
    bridge: &Arc<Bridge>,
) {
    let connecting = match endpoint.connect_with(config, remote, server_name) {
        Ok(connecting) => connecting,
        Err(error) => {
            let reason = format!("{remote} as {server_name:?}: {error}");
            let why = Failed { code: Code::ConnectFailed, reason, closed: None };
            bridge.mailbox.notice(Notice::ConnectFailed { ticket, why });
            return;
        }
    };
    let task_bridge = Arc::clone(bridge);
    let hold = bridge.executor.hold();
    spawn(bridge, async move {
        let _hold = hold;
        let why = match timeout(&task_bridge.executor, HANDSHAKE_TIMEOUT, connecting).await {
            Some(Ok(connection)) => {
                let connection = ConnectionShared::start(connection, &task_bridge);
                task_bridge.mailbox.notice(Notice::Connected { ticket, connection });
                return;
            }
            Some(Err(error)) => connect_failure(&error, remote),
            None => {
                let reason = format!("{remote}: no answer within {} s", HANDSHAKE_TIMEOUT.as_secs());
                Failed { code: Code::ConnectFailed, reason, closed: None }
            }
        };
        task_bridge.mailbox.notice(Notice::ConnectFailed { ticket, why });
    });
}

/// What TLS alerts mean is said where all callers and servers say it: shared/native/tls-refusal.ts.
fn connect_failure(error: &ConnectionError, remote: SocketAddr) -> Failed {
    let closed = closed_by(error);
    let by_transport = matches!(closed.source, "transport" | "peer-transport");
    let code =
        if by_transport && CRYPTO_ERROR.contains(&closed.code) { Code::TlsHandshake } else { Code::ConnectFailed };
    let reason = if closed.source == "peer-transport" && closed.code == CONNECTION_REFUSED {
        format!("{remote}: the server refuses new connections")
    } else {
        format!("{remote}: {error}")
    };
    Failed { code, reason, closed: Some(closed) }
}
