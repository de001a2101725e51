//! The receiving half of a stream: QUIC ─▶ byte queue ─▶ `read`.
//!
//! The task stops pulling while the queue is full, so that QUIC's own flow control holds the peer back.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use bytes::Bytes;

use crate::constants::{CHUNKS_PER_READ, RECEIVE_LOW_WATER_DIVISOR, STREAM_RECEIVE_QUEUE};
use crate::quic::bridge::Bridge;
use crate::quic::lib_alias::{ReadError, RecvStream, VarInt};
use crate::quic::mailbox::{EDGE_READABLE, lock};
use crate::quic::queue::ByteQueue;
use crate::quic::stream::StreamShared;

/// `READ_END` and `READ_RESET` of shared/native/quic.ts.
const READ_END: i32 = -1;
const READ_RESET: i32 = -2;

#[derive(Clone, Copy)]
enum End {
    Finished,
    /// With the peer's code; `None` when the connection is gone or this side stopped the stream.
    Reset(Option<VarInt>),
}

#[derive(Default)]
struct State {
    queue: ByteQueue,
    end: Option<End>,
    /// JavaScript waits for `onReadable`.
    armed: bool,
    stop: Option<VarInt>,
    /// The task, while it waits for room or for `stop`.
    sleeper: Option<Waker>,
    waits_for_room: bool,
}

#[derive(Default)]
pub struct ReceiveHalf {
    state: Mutex<State>,
}

impl ReceiveHalf {
    /// The code of the peer's RESET_STREAM, -1 without.
    pub fn reset_code(&self) -> f64 {
        match lock(&self.state).end {
            Some(End::Reset(Some(code))) => code.into_inner() as f64,
            _ => -1.0,
        }
    }

    pub fn read(&self, target: &mut [u8], bridge: &Bridge) -> i32 {
        let mut state = lock(&self.state);
        if target.is_empty() {
            return 0;
        }
        let count = state.queue.pop(target, &bridge.blocks);
        if count > 0 {
            let low = STREAM_RECEIVE_QUEUE / RECEIVE_LOW_WATER_DIVISOR;
            if state.waits_for_room && state.queue.len() <= low {
                state.waits_for_room = false;
                let sleeper = state.sleeper.take();
                drop(state);
                bridge.wake(sleeper);
            }
            return count as i32;
        }
        match state.end {
            Some(End::Finished) => READ_END,
            Some(End::Reset(_)) => READ_RESET,
            None => {
                state.armed = true;
                0
            }
        }
    }

    pub fn stop(&self, code: VarInt, bridge: &Bridge) {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return;
        }
        state.stop = Some(code);
        state.end = Some(End::Reset(None));
        state.queue.clear(&bridge.blocks);
        let sleeper = state.sleeper.take();
        drop(state);
        bridge.wake(sleeper);
    }

    fn push(&self, chunks: &[Bytes], stream: &StreamShared) {
        let mut state = lock(&self.state);
        if state.end.is_some() {
            return;
        }
        for chunk in chunks {
            state.queue.push(chunk, &stream.connection.bridge.blocks);
        }
        if std::mem::take(&mut state.armed) {
            drop(state);
            stream.connection.bridge.mailbox.edge(stream.token, EDGE_READABLE);
        }
    }

    fn end(&self, end: End, stream: &StreamShared) {
        let mut state = lock(&self.state);
        if state.end.is_none() {
            state.end = Some(end);
        }
        if std::mem::take(&mut state.armed) {
            drop(state);
            stream.connection.bridge.mailbox.edge(stream.token, EDGE_READABLE);
        }
    }

    /// Resolves when the queue has room; with a code when the stream is to be stopped.
    async fn room(&self) -> Option<VarInt> {
        poll_fn(|context| {
            let mut state = lock(&self.state);
            if let Some(code) = state.stop {
                return Poll::Ready(Some(code));
            }
            if state.queue.len() < STREAM_RECEIVE_QUEUE {
                return Poll::Ready(None);
            }
            state.waits_for_room = true;
            state.sleeper = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Resolves when JavaScript called `stop`.
    async fn stopped(&self) -> VarInt {
        poll_fn(|context| {
            let mut state = lock(&self.state);
            match state.stop {
                Some(code) => Poll::Ready(code),
                None => {
                    state.sleeper = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Whatever ends the task, the end of the runtime included, JavaScript gets its last edge.
struct LastWord(Arc<StreamShared>);

impl Drop for LastWord {
    fn drop(&mut self) {
        if let Some(half) = &self.0.receive {
            half.end(End::Reset(None), &self.0);
        }
    }
}

/// The task of one receiving half.
pub fn receive(source: RecvStream, stream: Arc<StreamShared>) -> impl Future<Output = ()> + Send {
    let last_word = LastWord(stream);
    async move { pull(source, &last_word.0).await }
}

async fn pull(mut source: RecvStream, stream: &StreamShared) {
    let Some(half) = &stream.receive else { return };
    let mut chunks: [Bytes; CHUNKS_PER_READ] = std::array::from_fn(|_| Bytes::new());
    loop {
        let stop = match half.room().await {
            Some(code) => Some(code),
            None => {
                tokio::select! {
                    biased;
                    result = source.read_chunks(&mut chunks) => match result {
                        Ok(Some(count)) => {
                            half.push(&chunks[..count], stream);
                            // A chunk keeps its whole UDP datagram alive.
                            chunks[..count].fill(Bytes::new());
                            None
                        }
                        Ok(None) => return half.end(End::Finished, stream),
                        Err(ReadError::Reset(code)) => return half.end(End::Reset(Some(code)), stream),
                        Err(_) => return,
                    },
                    code = half.stopped() => Some(code),
                }
            }
        };
        if let Some(code) = stop {
            // Refused only when the stream ended meanwhile, and then there is nothing to stop.
            let _ = source.stop(code);
            return;
        }
    }
}
