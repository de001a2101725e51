//! The receiving half of a stream: QUIC ─▶ byte queue ─▶ `read`.
//!
//! The task stops pulling while the queue is full, so that QUIC's own flow control holds the peer back.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::Bytes;

use crate::constants::{CHUNKS_PER_READ, RECEIVE_LOW_WATER_DIVISOR, STREAM_RECEIVE_QUEUE};
use crate::executor::wake;
use crate::lock::lock;
use crate::quic::bridge::Bridge;
use crate::quic::half::{LastWord, Sleeps, found};
use crate::quic::lib_alias::{ReadError, RecvStream, VarInt};
use crate::quic::mailbox::EDGE_READABLE;
use crate::quic::queue::ByteQueue;
use crate::quic::stream::StreamShared;

/// `READ_END` and `READ_RESET` of shared/native/quic.ts.
const READ_END: i32 = -1;
const READ_RESET: i32 = -2;
/// `READ_ARMED` of shared/native/binding.ts: the queue is empty now, and an edge will come.
const READ_ARMED: i32 = 1 << 30;

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

impl Sleeps for State {
    fn sleeper(&mut self) -> &mut Option<Waker> {
        &mut self.sleeper
    }
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
            // On a quiet tunnel nothing more comes meanwhile, and one call less is needed to wait for it. Under load
            // something may have come by the next read, and no doorbell is needed to say so.
            state.armed = state.queue.len() == 0 && state.end.is_none() && bridge.executor.is_quiet();
            let result = count as i32 | if state.armed { READ_ARMED } else { 0 };
            let low = STREAM_RECEIVE_QUEUE / RECEIVE_LOW_WATER_DIVISOR;
            if state.waits_for_room && state.queue.len() <= low {
                state.waits_for_room = false;
                let sleeper = state.sleeper.take();
                drop(state);
                wake(sleeper);
            }
            return result;
        }
        match state.end {
            Some(End::Finished) => READ_END,
            Some(End::Reset(_)) => READ_RESET,
            None => {
                state.armed = true;
                READ_ARMED
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
        wake(sleeper);
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
        found(&self.state, |state| match state.stop {
            Some(code) => Some(Some(code)),
            None if state.queue.len() < STREAM_RECEIVE_QUEUE => Some(None),
            None => {
                state.waits_for_room = true;
                None
            }
        })
        .await
    }

    /// Resolves when JavaScript called `stop`.
    async fn stopped(&self) -> VarInt {
        found(&self.state, |state| state.stop).await
    }
}

/// The task of one receiving half.
pub fn receive(source: RecvStream, stream: Arc<StreamShared>) -> impl Future<Output = ()> + Send {
    let say = |stream: &StreamShared| {
        if let Some(half) = &stream.receive {
            half.end(End::Reset(None), stream);
        }
    };
    let last_word = LastWord { stream, say };
    async move { pull(source, &last_word.stream).await }
}

async fn pull(mut source: RecvStream, stream: &StreamShared) {
    let Some(half) = &stream.receive else { return };
    loop {
        let stop = match half.room().await {
            Some(code) => Some(code),
            None => {
                tokio::select! {
                    biased;
                    result = take_chunks(&mut source, half, stream) => match result {
                        Ok(true) => None,
                        Ok(false) => return half.end(End::Finished, stream),
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

/// Moves what QUIC has into the queue, once there is something; false at the end of the stream.
///
/// The chunks are on the stack of one poll and not in the task, so that a stream that waits is small, and so
/// that none keeps its whole UDP datagram alive. quinn's future has no state between two polls: dropping it
/// leaves only the waker behind.
fn take_chunks<'a>(
    source: &'a mut RecvStream,
    half: &'a ReceiveHalf,
    stream: &'a StreamShared,
) -> impl Future<Output = Result<bool, ReadError>> + 'a {
    poll_fn(move |context| {
        let mut chunks: [Bytes; CHUNKS_PER_READ] = std::array::from_fn(|_| Bytes::new());
        let result = pin!(source.read_chunks(&mut chunks)).poll(context);
        result.map(|result| {
            let count = result?;
            if let Some(count) = count {
                half.push(&chunks[..count], stream);
            }
            Ok(count.is_some())
        })
    })
}
