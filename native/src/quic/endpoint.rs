//! The endpoint as JavaScript sees it.

use std::cell::RefCell;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use napi_derive::napi;

use crate::constants::{
    ALL_INCOMING_BYTES, CLOSE_FLUSH, EXIT_FLUSH, INCOMING_BYTES, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_PREFIX,
    MAX_INCOMING, RETRY_ABOVE, SEND_WINDOW, STREAM_SEND_QUEUE, UDP_SOCKET_BUFFER,
};
use crate::event_loop::{Callback, Doorbell, Target};
use crate::executor::{Executor, LoopSide};
use crate::failure::{Code, Result, failure};
use crate::functions::Functions;
use crate::quic::bridge::Bridge;
use crate::quic::connection::{NativeConnection, address_text};
use crate::quic::handshakes::HandshakeLimits;
use crate::quic::identity::endpoint_config;
use crate::quic::lib_alias::{ClientConfig, ServerConfig, TransportConfig, VarInt};
use crate::quic::mailbox::{Failed, Notice};
use crate::quic::stream::{NativeStream, error_code};
use crate::quic::streams::Streams;
use crate::quic::thread::{Command, QuicThread};
use crate::quic::transport::{TransportInput, transport_config};
use crate::slab::Words;
use crate::tls::{ClientTls, Material, ServerTls, client_config, server_config};

/// `EndpointOptions` of shared/native/quic.ts.
#[napi(object, object_to_js = false)]
pub struct EndpointInput {
    pub bind: String,
    pub server: Option<Material>,
    pub alpn: Vec<String>,
    pub transport: Option<TransportInput>,
    pub retry_above: Option<u32>,
    pub max_handshakes: Option<u32>,
    pub max_handshakes_per_prefix: Option<u32>,
}

/// A rare event; which fields are set depends on `kind` (`NativeNotice` in shared/native/addon.ts).
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct NativeNotice {
    pub kind: &'static str,
    pub ticket: Option<u32>,
    pub token: Option<u32>,
    pub connection: Option<NativeConnection>,
    pub stream: Option<NativeStream>,
    pub source: Option<&'static str>,
    pub remote: Option<String>,
    pub code: Option<f64>,
    pub error_code: Option<String>,
    pub reason: Option<String>,
    pub detail: Option<String>,
}

/// The bit of a result of `drain` that says that notices wait; `NOTICES_WAIT` of shared/native/binding.ts.
const NOTICES_WAIT: i64 = 1 << 31;

/// What runs: taken by `dispose` or by the end of the environment, whichever comes first.
struct Running {
    thread: QuicThread,
    side: Rc<LoopSide>,
    doorbell: Doorbell,
}

#[napi]
pub struct NativeEndpoint {
    bridge: Arc<Bridge>,
    running: Rc<RefCell<Option<Running>>>,
    streams: Rc<Streams>,
    transport: Arc<TransportConfig>,
    alpn: Vec<String>,
    local: SocketAddr,
}

fn socket_address(text: &str, name: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| {
        failure(
            Code::Udp,
            format!("{name} {text:?}: expected address:port, such as 192.0.2.1:4433 or [2001:db8::1]:4433"),
        )
    })
}

/// Binds, with buffers as large as the kernel allows.
fn bind(address: SocketAddr) -> Result<(UdpSocket, SocketAddr)> {
    let failed = |error: std::io::Error| {
        let advice = match error.raw_os_error() {
            Some(libc::EADDRINUSE) => "; another process has this port, choose another or stop it",
            Some(libc::EADDRNOTAVAIL) => "; no interface has this address",
            Some(libc::EACCES) => "; ports below 1024 need CAP_NET_BIND_SERVICE",
            _ => "",
        };
        failure(Code::Udp, format!("UDP {address}: {error}{advice}"))
    };
    let socket = UdpSocket::bind(address).map_err(failed)?;
    let local = socket.local_addr().map_err(failed)?;
    for (forced, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        // The force variant needs CAP_NET_ADMIN; without, net.core.{r,w}mem_max is the limit. Neither is
        // worth an error: QUIC works with any buffer.
        if !set_buffer(&socket, forced) {
            set_buffer(&socket, plain);
        }
    }
    Ok((socket, local))
}

fn set_buffer(socket: &UdpSocket, option: libc::c_int) -> bool {
    let size = UDP_SOCKET_BUFFER;
    // SAFETY: the descriptor is open, and `size` is a live c_int of the length given.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    status == 0
}

impl NativeEndpoint {
    fn server(&self, tls: &Material) -> Result<ServerConfig> {
        quic_server(tls, &self.alpn, &self.transport)
    }

    fn command(&self, command: Command) -> Result<()> {
        self.running
            .borrow()
            .as_ref()
            .and_then(|running| running.thread.commands.send(command).ok())
            .ok_or_else(|| failure(Code::ConnectionClosed, "the endpoint is closed"))
    }
}

fn quic_server(tls: &Material, alpn: &[String], transport: &Arc<TransportConfig>) -> Result<ServerConfig> {
    let tls = ServerTls::new(server_config(tls, alpn)?)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::clone(transport));
    config.max_incoming(MAX_INCOMING);
    config.incoming_buffer_size(INCOMING_BYTES);
    config.incoming_buffer_size_total(ALL_INCOMING_BYTES);
    Ok(config)
}

/// Ends the thread, telling the peers in the time given, and lets go of the doorbell.
fn stop(running: Running, flush: Option<Duration>) {
    running.side.end();
    if let Some(flush) = flush {
        // Refused only when the thread ended already.
        let _ =
            running.thread.commands.send(Command::Close { code: VarInt::from_u32(0), reason: String::new(), flush });
    }
    running.thread.join();
    running.side.close();
    running.doorbell.close();
}

#[napi]
impl NativeEndpoint {
    /// `doorbell` is called when `nextNotice` or `drain` has something, once a burst; when that is a single edge, as
    /// it is on a quiet tunnel, with the edge's token and bits instead.
    #[napi(factory)]
    pub fn open(options: EndpointInput, doorbell: Callback) -> Result<NativeEndpoint> {
        let transport_input = options.transport.unwrap_or_default();
        let transport = transport_config(&transport_input)?;
        let server = options.server.as_ref().map(|tls| quic_server(tls, &options.alpn, &transport)).transpose()?;
        let config = endpoint_config(options.server.as_ref().map(|tls| tls.private_key_pem.as_str()));
        let (socket, local) = bind(socket_address(&options.bind, "bind")?)?;
        let queue = transport_input.stream_send_queue.unwrap_or(STREAM_SEND_QUEUE);
        let window = transport_input.send_window.map_or(SEND_WINDOW, u64::from);
        let executor = Executor::new().map_err(|error| failure(Code::Internal, format!("epoll: {error}")))?;
        let environment = doorbell.environment();
        let side = LoopSide::open(&executor, environment)?;
        let bridge = Arc::new(Bridge::new(executor, queue.max(1) as usize, window));
        let limits = HandshakeLimits {
            retry_above: options.retry_above.unwrap_or(RETRY_ABOVE),
            max: options.max_handshakes.unwrap_or(MAX_HANDSHAKES),
            max_per_prefix: options.max_handshakes_per_prefix.unwrap_or(MAX_HANDSHAKES_PER_PREFIX),
        };
        let running: Rc<RefCell<Option<Running>>> = Rc::default();
        let at_exit = Rc::clone(&running);
        let exit_bridge = Arc::clone(&bridge);
        let only_edge = Arc::clone(&bridge);
        let doorbell = Doorbell::open(
            environment,
            Target::FunctionWith(doorbell, Box::new(move || only_edge.mailbox.take_only_edge())),
            Box::new(move || {
                let running = at_exit.borrow_mut().take();
                if let Some(running) = running {
                    stop(running, Some(EXIT_FLUSH));
                }
                exit_bridge.mailbox.connect_bell(None);
            }),
        )
        .inspect_err(|_| side.close())?;
        // SAFETY: the thread is joined before the doorbell is closed, in `stop`, which the teardown above
        // calls too.
        bridge.mailbox.connect_bell(Some(unsafe { doorbell.bell() }));
        let thread = match QuicThread::start(socket, config, server, limits, Arc::clone(&bridge)) {
            Ok(thread) => thread,
            Err(error) => {
                bridge.mailbox.connect_bell(None);
                side.close();
                doorbell.close();
                return Err(error);
            }
        };
        *running.borrow_mut() = Some(Running { thread, side, doorbell });
        let streams = Rc::default();
        Ok(NativeEndpoint { bridge, running, streams, transport, alpn: options.alpn, local })
    }

    #[napi(getter)]
    pub fn local_address(&self) -> String {
        address_text(self.local)
    }

    /// Initials that were answered with Retry since the endpoint was opened.
    #[napi(getter)]
    pub fn retries(&self) -> f64 {
        self.bridge.retries.load(Ordering::Relaxed) as f64
    }

    /// Refusals that nobody was told of, because too many waited.
    #[napi(getter)]
    pub fn untold_refusals(&self) -> f64 {
        self.bridge.mailbox.untold_refusals() as f64
    }

    #[napi]
    pub fn set_server_tls(&self, tls: Material) -> Result<()> {
        self.command(Command::SetServer(self.server(&tls)?))
    }

    /// The answer is a `connected` or `connectFailed` notice with this ticket.
    #[napi]
    pub fn connect(&self, ticket: u32, remote: String, server_name: String, tls: Material) -> Result<()> {
        let remote = socket_address(&remote, "remote")?;
        let tls = ClientTls::new(client_config(&tls, &self.alpn)?)?;
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::clone(&self.transport));
        // A socket of one family reaches the other through mapped addresses only when it is dual-stack.
        let remote = match (self.local, remote) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            _ => remote,
        };
        self.command(Command::Connect { ticket, remote, server_name, config })
    }

    #[napi]
    pub fn rebind(&mut self, address: String) -> Result<()> {
        let (socket, local) = bind(socket_address(&address, "bind")?)?;
        self.command(Command::Rebind(socket))?;
        self.local = local;
        Ok(())
    }

    /// `NativeEndpointFunctions` of shared/native/binding.ts.
    #[napi]
    pub fn functions(&self) -> Functions<4> {
        let bridge = Arc::clone(&self.bridge);
        let drain = move |mut records: Words| {
            let (filled, notices) = bridge.mailbox.take_edges(records.as_mut_slice());
            filled as i64 | if notices { NOTICES_WAIT } else { 0 }
        };
        let (read, write, writev) = (Rc::clone(&self.streams), Rc::clone(&self.streams), Rc::clone(&self.streams));
        Functions([
            ("drain", Box::new(move |call| Ok(drain(call.words(0)?)))),
            (
                "read",
                Box::new(move |call| {
                    let (slab, from, to) = (call.slab(1)?, call.number(2)?, call.number(3)?);
                    read.with(call.number(0)?, |stream| stream.read(slab, from, to))
                }),
            ),
            (
                "write",
                Box::new(move |call| {
                    let (slab, from, to) = (call.slab(1)?, call.number(2)?, call.number(3)?);
                    write.with(call.number(0)?, |stream| stream.write(slab, from, to))
                }),
            ),
            (
                "writev",
                Box::new(move |call| {
                    let (slab, ranges, count) = (call.slab(1)?, call.words(2)?, call.number(3)?);
                    writev.with(call.number(0)?, |stream| stream.writev(slab, ranges, count))
                }),
            ),
        ])
    }

    #[napi]
    pub fn next_notice(&self) -> Option<NativeNotice> {
        self.bridge.mailbox.next_notice().map(|notice| native_notice(notice, &self.streams))
    }

    /// Begins to close; `endpointClosed` is the last notice, and `dispose` is due then.
    #[napi]
    pub fn close(&self, code: f64, reason: String) -> Result<()> {
        self.command(Command::Close { code: error_code(code)?, reason, flush: CLOSE_FLUSH })
    }

    /// Tells the peers, within a short time, and frees the thread and the doorbell: the process is on its way
    /// out, and Node ends no environment on `process.exit`.
    #[napi]
    pub fn exit(&self) {
        let running = self.running.borrow_mut().take();
        if let Some(running) = running {
            stop(running, Some(EXIT_FLUSH));
            self.bridge.mailbox.connect_bell(None);
        }
    }

    /// Frees the thread and the doorbell. Idempotent.
    #[napi]
    pub fn dispose(&self) {
        let running = self.running.borrow_mut().take();
        if let Some(running) = running {
            stop(running, None);
            self.bridge.mailbox.connect_bell(None);
        }
    }
}

fn native_notice(notice: Notice, streams: &Rc<Streams>) -> NativeNotice {
    let empty = NativeNotice::default();
    match notice {
        Notice::Accepted(connection) => {
            NativeNotice { kind: "accepted", connection: Some(NativeConnection::new(connection)), ..empty }
        }
        Notice::Connected { ticket, connection } => NativeNotice {
            kind: "connected",
            ticket: Some(ticket),
            connection: Some(NativeConnection::new(connection)),
            ..empty
        },
        Notice::ConnectFailed { ticket, why: Failed { code, reason, closed } } => NativeNotice {
            kind: "connectFailed",
            ticket: Some(ticket),
            error_code: Some(code.as_ref().to_owned()),
            reason: Some(reason),
            source: closed.as_ref().map(|closed| closed.source),
            code: closed.as_ref().map(|closed| closed.code as f64),
            detail: closed.map(|closed| closed.reason),
            ..empty
        },
        Notice::Refused { remote, closed } => NativeNotice {
            kind: "refused",
            remote: Some(remote),
            source: Some(closed.source),
            code: Some(closed.code as f64),
            reason: Some(closed.reason),
            ..empty
        },
        Notice::Stream { connection, stream } => {
            NativeNotice { kind: "stream", token: Some(connection), stream: Some(streams.hold(stream)), ..empty }
        }
        Notice::Opened { ticket, stream } => {
            NativeNotice { kind: "opened", ticket: Some(ticket), stream: Some(streams.hold(stream)), ..empty }
        }
        Notice::OpenFailed { ticket, reason } => {
            NativeNotice { kind: "openFailed", ticket: Some(ticket), reason: Some(reason), ..empty }
        }
        Notice::Closed { connection, closed } => NativeNotice {
            kind: "closed",
            token: Some(connection),
            source: Some(closed.source),
            code: Some(closed.code as f64),
            reason: Some(closed.reason),
            ..empty
        },
        Notice::EndpointClosed => NativeNotice { kind: "endpointClosed", ..empty },
        Notice::Panicked(reason) => NativeNotice { kind: "panicked", reason: Some(reason), ..empty },
    }
}
