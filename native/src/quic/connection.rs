//! One connection whose handshake is complete: what JavaScript calls, and its tasks on the QUIC thread
//! (streams that the peer opens, datagrams both ways, the end).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use rustls::pki_types::CertificateDer;

use crate::constants::{
    DATAGRAM_RECEIVE_QUEUE, DATAGRAM_SEND_QUEUE, MIN_STREAM_SEND_QUEUE, READ_DATAGRAMS, SEND_AHEAD, SEND_TUNING_BYTES,
    SEND_TUNING_INTERVAL,
};
use crate::executor::wake;
use crate::failure::Result;
use crate::lock::lock;
use crate::quic::bridge::Bridge;
use crate::quic::lib_alias::{Connection, ConnectionError, SendDatagramError};
use crate::quic::mailbox::{Closed, EDGE_DATAGRAMS, Notice};
use crate::quic::queue::ByteQueue;
use crate::quic::stream::{StreamShared, error_code};
use crate::quic::thread::spawn;
use crate::slab::Slab;
use crate::tls::Negotiated;

/// Bytes of the length in front of a datagram in a slab.
const LENGTH_BYTES: usize = 2;

#[derive(Default)]
struct Datagrams {
    /// Records `[u16 length][datagram]`, as `readDatagrams` gives them.
    received: ByteQueue,
    /// The length of the first record's datagram, when it was taken off the queue already.
    next_length: Option<usize>,
    armed: bool,
    to_send: VecDeque<Bytes>,
    to_send_bytes: usize,
    sender: Option<Waker>,
    ended: bool,
}

/// When sending was tuned last.
struct Tuned {
    when: Instant,
    /// The send window that was set, 0 before the first one.
    window: u64,
    /// Bytes that were written since.
    written: usize,
}

pub struct ConnectionShared {
    pub token: u32,
    pub bridge: Arc<Bridge>,
    /// Taken when the connection is closed, so that an object that JavaScript still holds costs little.
    connection: Mutex<Option<Connection>>,
    last: Mutex<Option<NativeStats>>,
    negotiated: Negotiated,
    chain: Mutex<Vec<Vec<u8>>>,
    local_close: Mutex<Option<(u64, String)>>,
    datagrams: Mutex<Datagrams>,
    max_datagram: AtomicUsize,
    send_queue_limit: AtomicUsize,
    tuned: Mutex<Tuned>,
}

/// `ConnectionStats` of shared/native/quic.ts, and the peer's address.
#[napi(object, object_from_js = false)]
#[derive(Clone)]
pub struct NativeStats {
    pub remote: String,
    pub rtt_ms: f64,
    pub cwnd: f64,
    pub sent_packets: f64,
    pub lost_packets: f64,
    pub sent_bytes: f64,
    pub received_bytes: f64,
    pub mtu: u32,
}

fn stats_of(connection: &Connection) -> NativeStats {
    let stats = connection.stats();
    NativeStats {
        remote: address_text(connection.remote_address()),
        rtt_ms: stats.path.rtt.as_secs_f64() * 1000.0,
        cwnd: stats.path.cwnd as f64,
        sent_packets: stats.path.sent_packets as f64,
        lost_packets: stats.path.lost_packets as f64,
        sent_bytes: stats.udp_tx.bytes as f64,
        received_bytes: stats.udp_rx.bytes as f64,
        mtu: u32::from(stats.path.current_mtu),
    }
}

/// An IPv4 peer of a dual-stack socket is shown as IPv4.
pub fn address_text(address: std::net::SocketAddr) -> String {
    std::net::SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

pub fn closed_by(error: &ConnectionError) -> Closed {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (source, code, reason) = match error {
        ConnectionError::ApplicationClosed(close) => {
            ("peer-application", close.error_code.into_inner() as i64, text(&close.reason))
        }
        ConnectionError::ConnectionClosed(close) => {
            ("peer-transport", u64::from(close.error_code) as i64, text(&close.reason))
        }
        ConnectionError::TransportError(error) => ("transport", u64::from(error.code) as i64, error.reason.clone()),
        ConnectionError::TimedOut => ("idle-timeout", 0, "the peer was silent for the idle time-out".into()),
        ConnectionError::Reset => ("reset", 0, "the peer no longer knows the connection (stateless reset)".into()),
        ConnectionError::LocallyClosed => ("local", 0, String::new()),
        ConnectionError::VersionMismatch => ("transport", 0, "the peer speaks another version of QUIC".into()),
        ConnectionError::CidsExhausted => ("transport", 0, "no connection id is left".into()),
    };
    Closed { source, code, reason }
}

impl ConnectionShared {
    /// On the QUIC thread, when the handshake is complete.
    pub fn start(connection: Connection, bridge: &Arc<Bridge>) -> Arc<ConnectionShared> {
        let negotiated = connection
            .handshake_data()
            .and_then(|data| data.downcast::<Negotiated>().ok())
            .map_or_else(Negotiated::default, |data| *data);
        let chain = connection
            .peer_identity()
            .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
            .map_or_else(Vec::new, |chain| chain.iter().map(|certificate| certificate.to_vec()).collect());
        let shared = Arc::new(ConnectionShared {
            token: bridge.mailbox.token(),
            bridge: Arc::clone(bridge),
            max_datagram: AtomicUsize::new(connection.max_datagram_size().unwrap_or(0)),
            connection: Mutex::new(Some(connection.clone())),
            last: Mutex::default(),
            negotiated,
            chain: Mutex::new(chain),
            local_close: Mutex::default(),
            datagrams: Mutex::default(),
            send_queue_limit: AtomicUsize::new(bridge.stream_send_queue.min(MIN_STREAM_SEND_QUEUE)),
            tuned: Mutex::new(Tuned { when: Instant::now(), window: 0, written: 0 }),
        });
        spawn(bridge, accept_bidi(connection.clone(), Arc::clone(&shared)));
        spawn(bridge, accept_uni(connection.clone(), Arc::clone(&shared)));
        spawn(bridge, receive_datagrams(connection.clone(), Arc::clone(&shared)));
        spawn(bridge, send_datagrams(connection.clone(), Arc::clone(&shared)));
        spawn(bridge, watch_end(connection, Arc::clone(&shared)));
        shared
    }

    /// High water mark of the send queue of each stream, in bytes.
    pub fn send_queue_limit(&self) -> usize {
        self.send_queue_limit.load(Ordering::Relaxed)
    }

    /// Lets QUIC and the send queues take what the path is about to carry and not more: bytes that wait here
    /// delay every packet behind them. Twice the congestion window, because what was received behind a lost
    /// packet counts as unacknowledged until it is repaired. `bytes` are about to be written: the window moves with
    /// what is sent, so a quiet tunnel needs no look at it for each packet.
    pub fn tune_sending(&self, bytes: usize) {
        let mut tuned = lock(&self.tuned);
        let window = tuned.window;
        tuned.written = tuned.written.saturating_add(bytes);
        if window > 0 && tuned.written < SEND_TUNING_BYTES {
            return;
        }
        let now = Instant::now();
        if window > 0 && now.duration_since(tuned.when) < SEND_TUNING_INTERVAL {
            return;
        }
        let Some(connection) = self.open_connection() else { return };
        let congestion = connection.stats().path.cwnd;
        let fitting = congestion.saturating_mul(2).saturating_add(SEND_AHEAD).min(self.bridge.send_window);
        *tuned = Tuned { when: now, window: fitting, written: 0 };
        if fitting != window {
            connection.set_send_window(fitting);
        }
        let queue = usize::try_from(congestion / 2).unwrap_or(usize::MAX);
        let limit = queue.max(MIN_STREAM_SEND_QUEUE).min(self.bridge.stream_send_queue);
        self.send_queue_limit.store(limit, Ordering::Relaxed);
    }

    fn open_connection(&self) -> Option<Connection> {
        lock(&self.connection).clone()
    }
}

async fn accept_bidi(connection: Connection, shared: Arc<ConnectionShared>) {
    while let Ok((sink, source)) = connection.accept_bi().await {
        let stream = StreamShared::new(&shared, Some(sink), Some(source));
        shared.bridge.mailbox.notice(Notice::Stream { connection: shared.token, stream });
    }
}

async fn accept_uni(connection: Connection, shared: Arc<ConnectionShared>) {
    while let Ok(source) = connection.accept_uni().await {
        let stream = StreamShared::new(&shared, None, Some(source));
        shared.bridge.mailbox.notice(Notice::Stream { connection: shared.token, stream });
    }
}

async fn receive_datagrams(connection: Connection, shared: Arc<ConnectionShared>) {
    while let Ok(datagram) = connection.read_datagram().await {
        let mut datagrams = lock(&shared.datagrams);
        // A QUIC packet fits a UDP datagram, so its length fits 16 bits.
        let Ok(length) = u16::try_from(datagram.len()) else { continue };
        if datagrams.received.len() + LENGTH_BYTES + datagram.len() > DATAGRAM_RECEIVE_QUEUE {
            continue;
        }
        datagrams.received.push(&length.to_be_bytes(), &shared.bridge.blocks);
        datagrams.received.push(&datagram, &shared.bridge.blocks);
        if std::mem::take(&mut datagrams.armed) {
            drop(datagrams);
            shared.bridge.mailbox.edge(shared.token, EDGE_DATAGRAMS);
        }
    }
}

async fn send_datagrams(connection: Connection, shared: Arc<ConnectionShared>) {
    loop {
        let batch = poll_fn(|context| {
            let mut datagrams = lock(&shared.datagrams);
            if datagrams.ended {
                return Poll::Ready(None);
            }
            if datagrams.to_send.is_empty() {
                datagrams.sender = Some(context.waker().clone());
                return Poll::Pending;
            }
            datagrams.to_send_bytes = 0;
            Poll::Ready(Some(std::mem::take(&mut datagrams.to_send)))
        })
        .await;
        let Some(batch) = batch else { return };
        for datagram in batch {
            match connection.send_datagram(datagram) {
                // Larger than the path takes now: dropped, as the network would.
                Ok(()) | Err(SendDatagramError::TooLarge) => {}
                Err(_) => return,
            }
        }
        shared.max_datagram.store(connection.max_datagram_size().unwrap_or(0), Ordering::Relaxed);
    }
}

async fn watch_end(connection: Connection, shared: Arc<ConnectionShared>) {
    let error = connection.closed().await;
    let mut closed = closed_by(&error);
    if let (ConnectionError::LocallyClosed, Some((code, reason))) = (&error, lock(&shared.local_close).take()) {
        closed.code = code as i64;
        closed.reason = reason;
    }
    *lock(&shared.last) = Some(stats_of(&connection));
    *lock(&shared.connection) = None;
    let sender = {
        let mut datagrams = lock(&shared.datagrams);
        datagrams.ended = true;
        datagrams.sender.take()
    };
    wake(sender);
    shared.bridge.mailbox.notice(Notice::Closed { connection: shared.token, closed });
}

/// `QuicConnection` of shared/native/quic.ts without its callbacks and promises, which `addon.ts` adds.
#[napi]
pub struct NativeConnection {
    shared: Arc<ConnectionShared>,
}

impl NativeConnection {
    pub fn new(shared: Arc<ConnectionShared>) -> Self {
        NativeConnection { shared }
    }
}

#[napi]
impl NativeConnection {
    #[napi(getter)]
    pub fn token(&self) -> u32 {
        self.shared.token
    }

    /// Hands the chain over once: the addon keeps no copy of it.
    #[napi]
    pub fn take_chain(&self) -> Vec<Uint8Array> {
        std::mem::take(&mut *lock(&self.shared.chain)).into_iter().map(Uint8Array::from).collect()
    }

    #[napi(getter)]
    pub fn alpn(&self) -> String {
        self.shared.negotiated.alpn.clone()
    }

    #[napi(getter)]
    pub fn key_exchange_group(&self) -> String {
        self.shared.negotiated.key_exchange_group.clone()
    }

    #[napi(getter)]
    pub fn cipher_suite(&self) -> String {
        self.shared.negotiated.cipher_suite.clone()
    }

    /// The answer is an `opened` or `openFailed` notice with this ticket.
    #[napi]
    pub fn open(&self, ticket: u32, bidi: bool) {
        let shared = Arc::clone(&self.shared);
        let Some(connection) = shared.open_connection() else {
            let reason = "the connection is closed".to_owned();
            shared.bridge.mailbox.notice(Notice::OpenFailed { ticket, reason });
            return;
        };
        let bridge = Arc::clone(&shared.bridge);
        spawn(&bridge, async move {
            let opened = if bidi {
                connection.open_bi().await.map(|(sink, source)| (Some(sink), Some(source)))
            } else {
                connection.open_uni().await.map(|sink| (Some(sink), None))
            };
            shared.bridge.mailbox.notice(match opened {
                Ok((sink, source)) => {
                    let stream = StreamShared::new(&shared, sink, source);
                    stream.start();
                    Notice::Opened { ticket, stream }
                }
                Err(error) => Notice::OpenFailed { ticket, reason: error.to_string() },
            });
        });
    }

    #[napi(getter)]
    pub fn max_datagram_size(&self) -> u32 {
        self.shared
            .open_connection()
            .and_then(|connection| connection.max_datagram_size())
            .map_or(0, |size| u32::try_from(size).unwrap_or(u32::MAX))
    }

    #[napi]
    pub fn send_datagram(&self, mut slab: Slab, from: u32, to: u32) -> Result<bool> {
        let bytes = slab.range(from, to)?;
        let mut datagrams = lock(&self.shared.datagrams);
        let queued = datagrams.to_send_bytes + bytes.len();
        if datagrams.ended
            || queued > DATAGRAM_SEND_QUEUE
            || bytes.len() > self.shared.max_datagram.load(Ordering::Relaxed)
        {
            return Ok(false);
        }
        datagrams.to_send_bytes = queued;
        datagrams.to_send.push_back(Bytes::copy_from_slice(bytes));
        let sender = datagrams.sender.take();
        drop(datagrams);
        wake(sender);
        Ok(true)
    }

    #[napi]
    pub fn read_datagrams(&self, mut slab: Slab, from: u32, to: u32) -> Result<u32> {
        let target = slab.range(from, to)?;
        let pool = &self.shared.bridge.blocks;
        let mut datagrams = lock(&self.shared.datagrams);
        let mut done = 0;
        for _ in 0..READ_DATAGRAMS {
            let length = match datagrams.next_length.take() {
                Some(length) => length,
                None => {
                    let mut bytes = [0; LENGTH_BYTES];
                    if datagrams.received.pop(&mut bytes, pool) == 0 {
                        break;
                    }
                    usize::from(u16::from_be_bytes(bytes))
                }
            };
            let Some(record) = target.get_mut(done..done + LENGTH_BYTES + length) else {
                datagrams.next_length = Some(length);
                break;
            };
            let (head, body) = record.split_at_mut(LENGTH_BYTES);
            head.copy_from_slice(&(length as u16).to_be_bytes());
            datagrams.received.pop(body, pool);
            done += record.len();
        }
        if done == 0 {
            datagrams.armed = true;
        }
        Ok(done as u32)
    }

    /// `null` only between the close and its notice.
    #[napi]
    pub fn stats(&self) -> Option<NativeStats> {
        match self.shared.open_connection() {
            Some(connection) => Some(stats_of(&connection)),
            None => lock(&self.shared.last).clone(),
        }
    }

    #[napi]
    pub fn close(&self, code: f64, reason: String) -> Result<()> {
        let code = error_code(code)?;
        let Some(connection) = self.shared.open_connection() else { return Ok(()) };
        // It ended already and the notice is on its way: closing now would put our reason in the place of the
        // peer's.
        if connection.close_reason().is_some() {
            return Ok(());
        }
        {
            let mut local_close = lock(&self.shared.local_close);
            if local_close.is_some() {
                return Ok(());
            }
            *local_close = Some((code.into_inner(), reason.clone()));
        }
        connection.close(code, reason.as_bytes());
        Ok(())
    }
}
