//! The sending half of a stream: `write` ─▶ chunk queue ─▶ QUIC, without another copy.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::Bytes;

use crate::constants::SEND_LOW_WATER_DIVISOR;
use crate::executor::wake;
use crate::lock::lock;
use crate::quic::connection::ConnectionShared;
use crate::quic::half::{LastWord, Sleeps, found};
use crate::quic::lib_alias::{SendStream, VarInt, WriteError};
use crate::quic::mailbox::EDGE_WRITABLE;
use crate::quic::stream::StreamShared;

/// `WRITE_CLOSED` of shared/native/quic.ts.
const WRITE_CLOSED: i32 = -1;

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Bytes of `chunks` and of what the task has in hand.
    queued: usize,
    /// JavaScript waits for `onWritable`.
    armed: bool,
    finished: bool,
    reset: Option<VarInt>,
    /// Nothing more is taken: finished, reset, stopped by the peer, or the connection is gone.
    closed: bool,
    stopped_with: Option<VarInt>,
    /// The task, while it has nothing to do or waits for QUIC.
    sleeper: Option<Waker>,
    /// The task has nothing to do: a write has to wake it.
    idle: bool,
}

impl Sleeps for State {
    fn sleeper(&mut self) -> &mut Option<Waker> {
        &mut self.sleeper
    }
}

#[derive(Default)]
pub struct SendHalf {
    state: Mutex<State>,
}

enum Work {
    Chunks(Vec<Bytes>),
    Finish,
    Reset(VarInt),
}

impl SendHalf {
    /// The code of the peer's STOP_SENDING, -1 without.
    pub fn stop_code(&self) -> f64 {
        lock(&self.state).stopped_with.map_or(-1.0, |code| code.into_inner() as f64)
    }

    /// All or nothing: `chunk` makes the copy when there is room. A queue below its mark takes any size, so
    /// it holds at most the high water mark and one write more.
    pub fn write(&self, length: usize, connection: &ConnectionShared, chunk: impl FnOnce() -> Bytes) -> i32 {
        let mut state = lock(&self.state);
        if state.closed {
            return WRITE_CLOSED;
        }
        if length == 0 {
            return 0;
        }
        if state.queued >= connection.send_queue_limit() {
            state.armed = true;
            return 0;
        }
        // The copy is made without the lock: only this thread adds to the queue.
        drop(state);
        let bytes = chunk();
        let mut state = lock(&self.state);
        state.queued += length;
        state.chunks.push_back(bytes);
        let sleeper = if std::mem::take(&mut state.idle) { state.sleeper.take() } else { None };
        drop(state);
        wake(sleeper);
        length as i32
    }

    pub fn finish(&self) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.closed = true;
        state.finished = true;
        let sleeper = state.sleeper.take();
        drop(state);
        wake(sleeper);
    }

    pub fn reset(&self, code: VarInt) {
        let mut state = lock(&self.state);
        if state.reset.is_some() {
            return;
        }
        state.closed = true;
        state.reset = Some(code);
        state.chunks.clear();
        let sleeper = state.sleeper.take();
        drop(state);
        wake(sleeper);
    }

    fn sent(&self, count: usize, stream: &StreamShared) {
        let mut state = lock(&self.state);
        state.queued -= count;
        let low = stream.connection.send_queue_limit() / SEND_LOW_WATER_DIVISOR;
        if state.queued <= low && std::mem::take(&mut state.armed) {
            drop(state);
            stream.connection.bridge.mailbox.edge(stream.token, EDGE_WRITABLE);
        }
    }

    fn close(&self, stopped_with: Option<VarInt>, stream: &StreamShared) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.chunks.clear();
        if stopped_with.is_some() {
            state.stopped_with = stopped_with;
        }
        if std::mem::take(&mut state.armed) {
            drop(state);
            stream.connection.bridge.mailbox.edge(stream.token, EDGE_WRITABLE);
        }
    }

    async fn work(&self) -> Work {
        found(&self.state, |state| {
            if let Some(code) = state.reset {
                return Some(Work::Reset(code));
            }
            if !state.chunks.is_empty() {
                return Some(Work::Chunks(state.chunks.drain(..).collect()));
            }
            if state.finished {
                return Some(Work::Finish);
            }
            state.idle = true;
            None
        })
        .await
    }

    /// Resolves when JavaScript called `reset`.
    async fn reset_asked(&self) -> VarInt {
        found(&self.state, |state| state.reset).await
    }
}

/// The task of one sending half.
pub fn send(sink: SendStream, stream: Arc<StreamShared>) -> impl Future<Output = ()> + Send {
    let say = |stream: &StreamShared| {
        if let Some(half) = &stream.send {
            half.close(None, stream);
        }
    };
    let last_word = LastWord { stream, say };
    async move { push(sink, &last_word.stream).await }
}

/// The stream counts as open until the peer has everything, so `stopped` is watched all the time, also while
/// nothing is written.
async fn push(mut sink: SendStream, stream: &StreamShared) {
    let Some(half) = &stream.send else { return };
    let mut stopped = pin!(sink.stopped());
    loop {
        let work = tokio::select! {
            biased;
            work = half.work() => work,
            result = &mut stopped => return half.close(result.ok().flatten(), stream),
        };
        match work {
            Work::Chunks(mut chunks) => {
                let mut rest = &mut chunks[..];
                while !rest.is_empty() {
                    stream.connection.tune_sending(rest.iter().map(Bytes::len).sum());
                    let written = tokio::select! {
                        biased;
                        written = sink.write_chunks(rest) => written,
                        code = half.reset_asked() => {
                            // Refused only when the stream ended meanwhile.
                            let _ = sink.reset(code);
                            return;
                        }
                    };
                    match written {
                        Ok(written) => {
                            half.sent(written.bytes, stream);
                            rest = &mut rest[written.chunks..];
                        }
                        Err(WriteError::Stopped(code)) => return half.close(Some(code), stream),
                        Err(_) => return,
                    }
                }
            }
            Work::Finish => {
                // Refused only when the peer stopped the stream meanwhile.
                let _ = sink.finish();
                tokio::select! {
                    result = &mut stopped => return half.close(result.ok().flatten(), stream),
                    code = half.reset_asked() => {
                        let _ = sink.reset(code);
                        return;
                    }
                }
            }
            Work::Reset(code) => {
                // Refused only when the stream ended meanwhile.
                let _ = sink.reset(code);
                return;
            }
        }
    }
}
