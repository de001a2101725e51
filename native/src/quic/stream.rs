//! One stream as JavaScript sees it: two halves, each a small state behind its own lock, each served by a
//! task on the QUIC thread (`receive.rs`, `send.rs`).
//!
//! The tasks of a stream that the peer opened start with JavaScript's first call: until then the stream
//! counts against the peer's limit, so that nobody can open streams faster than they are taken.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use napi_derive::napi;

use crate::constants::MAX_STREAM_WRITE;
use crate::failure::{Code, Result, failure};
use crate::lock::lock;
use crate::quic::connection::ConnectionShared;
use crate::quic::lib_alias::{RecvStream, SendStream, VarInt};
use crate::quic::receive::{ReceiveHalf, receive};
use crate::quic::send::{SendHalf, send};
use crate::quic::streams::Streams;
use crate::quic::thread::spawn;
use crate::slab::{Slab, Words};

pub struct StreamShared {
    pub token: u32,
    pub id: u64,
    pub receive: Option<ReceiveHalf>,
    pub send: Option<SendHalf>,
    pub connection: Arc<ConnectionShared>,
    started: AtomicBool,
    unstarted: Mutex<Option<(Option<SendStream>, Option<RecvStream>)>>,
}

impl StreamShared {
    pub fn new(connection: &Arc<ConnectionShared>, sink: Option<SendStream>, source: Option<RecvStream>) -> Arc<Self> {
        let id = sink.as_ref().map(SendStream::id).or(source.as_ref().map(RecvStream::id));
        Arc::new(StreamShared {
            token: connection.bridge.mailbox.token(),
            id: id.map_or(0, u64::from),
            receive: source.as_ref().map(|_| ReceiveHalf::default()),
            send: sink.as_ref().map(|_| SendHalf::default()),
            connection: Arc::clone(connection),
            started: AtomicBool::new(false),
            unstarted: Mutex::new(Some((sink, source))),
        })
    }

    /// Spawns the tasks. Idempotent.
    pub fn start(self: &Arc<Self>) {
        // Each packet asks.
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        self.started.store(true, Ordering::Relaxed);
        let Some((sink, source)) = lock(&self.unstarted).take() else { return };
        let bridge = &self.connection.bridge;
        // In boxes: a task keeps room for a future that it was given and again for the same future that it waits for.
        if let Some(source) = source {
            spawn(bridge, Box::pin(receive(source, Arc::clone(self))));
        }
        if let Some(sink) = sink {
            spawn(bridge, Box::pin(send(sink, Arc::clone(self))));
        }
    }

    fn sender(self: &Arc<Self>) -> Result<&SendHalf> {
        self.start();
        self.send
            .as_ref()
            .ok_or_else(|| failure(Code::Range, format!("stream {} was opened by the peer, one way", self.id)))
    }

    fn receiver(self: &Arc<Self>) -> Result<&ReceiveHalf> {
        self.start();
        self.receive
            .as_ref()
            .ok_or_else(|| failure(Code::Range, format!("stream {} was opened by this side, one way", self.id)))
    }

    pub fn read(self: &Arc<Self>, mut slab: Slab, from: u32, to: u32) -> Result<i32> {
        Ok(self.receiver()?.read(slab.range(from, to)?, &self.connection.bridge))
    }

    pub fn write(self: &Arc<Self>, mut slab: Slab, from: u32, to: u32) -> Result<i32> {
        let bytes = slab.range(from, to)?;
        let sender = self.sender()?;
        check_size(bytes.len())?;
        Ok(sender.write(bytes.len(), &self.connection, || Bytes::copy_from_slice(bytes)))
    }

    pub fn writev(self: &Arc<Self>, mut slab: Slab, mut ranges: Words, count: u32) -> Result<i32> {
        let words = ranges.as_mut_slice();
        let Some(pairs) = (count as usize).checked_mul(2).and_then(|end| words.get(..end)) else {
            return Err(failure(Code::Range, format!("{count} ranges are not within {} words", words.len())));
        };
        let mut length = 0;
        for pair in pairs.chunks_exact(2) {
            length += slab.range(pair[0], pair[1])?.len();
        }
        check_size(length)?;
        let sender = self.sender()?;
        let mut joined = Ok(());
        let taken = sender.write(length, &self.connection, || {
            let mut bytes = Vec::with_capacity(length);
            for pair in pairs.chunks_exact(2) {
                match slab.range(pair[0], pair[1]) {
                    Ok(piece) => bytes.extend_from_slice(piece),
                    Err(error) => joined = Err(error),
                }
            }
            Bytes::from(bytes)
        });
        joined.map(|()| taken)
    }
}

pub fn error_code(code: f64) -> Result<VarInt> {
    let whole = code as u64;
    if whole as f64 == code
        && let Ok(code) = VarInt::from_u64(whole)
    {
        return Ok(code);
    }
    Err(failure(Code::Range, format!("error code {code}: expected 0 to 2^62 - 1 (RFC 9000 section 16)")))
}

/// `QuicStream` of shared/native/quic.ts without its callbacks, which `addon.ts` adds, and without what happens with
/// each packet: that are the endpoint's `functions`.
#[napi]
pub struct NativeStream {
    pub(super) shared: Arc<StreamShared>,
    pub(super) streams: Rc<Streams>,
    pub(super) place: u32,
}

impl Drop for NativeStream {
    fn drop(&mut self) {
        self.streams.forget(self.place);
    }
}

#[napi]
impl NativeStream {
    /// The stream, for the endpoint's `functions`.
    #[napi(getter)]
    pub fn place(&self) -> u32 {
        self.place
    }

    #[napi(getter)]
    pub fn token(&self) -> u32 {
        self.shared.token
    }

    #[napi(getter)]
    pub fn id(&self) -> f64 {
        self.shared.id as f64
    }

    #[napi(getter)]
    pub fn direction(&self) -> &'static str {
        match (&self.shared.receive, &self.shared.send) {
            (Some(_), None) => "uni-in",
            (None, _) => "uni-out",
            (Some(_), Some(_)) => "bidi",
        }
    }

    #[napi(getter)]
    pub fn reset_code(&self) -> f64 {
        self.shared.receive.as_ref().map_or(-1.0, ReceiveHalf::reset_code)
    }

    #[napi(getter)]
    pub fn stop_code(&self) -> f64 {
        self.shared.send.as_ref().map_or(-1.0, SendHalf::stop_code)
    }

    #[napi]
    pub fn finish(&self) -> Result<()> {
        self.shared.sender()?.finish();
        Ok(())
    }

    #[napi]
    pub fn reset(&self, code: f64) -> Result<()> {
        self.shared.sender()?.reset(error_code(code)?);
        Ok(())
    }

    #[napi]
    pub fn stop(&self, code: f64) -> Result<()> {
        self.shared.receiver()?.stop(error_code(code)?, &self.shared.connection.bridge);
        Ok(())
    }
}

fn check_size(length: usize) -> Result<()> {
    if length > MAX_STREAM_WRITE {
        return Err(failure(
            Code::Range,
            format!("{length} bytes in one write; at most MAX_STREAM_WRITE ({MAX_STREAM_WRITE}) are taken"),
        ));
    }
    Ok(())
}
