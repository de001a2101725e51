//! What the QUIC thread tells the JavaScript thread: edges (a token with bits) and notices (rare, with
//! content). One doorbell a burst.
//!
//! Bounds: an edge is only posted for a token that JavaScript armed, so there are at most two a stream and
//! one a connection. Notices are bounded by connections and streams, refusals by their own limit.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::constants::MAX_WAITING_REFUSALS;
use crate::event_loop::Bell;
use crate::failure::Code;
use crate::lock::lock;
use crate::quic::connection::ConnectionShared;
use crate::quic::stream::StreamShared;

pub const EDGE_READABLE: u32 = 1;
pub const EDGE_WRITABLE: u32 = 2;
pub const EDGE_DATAGRAMS: u32 = 4;

/// Why a connection ended; `CloseInfo` of shared/native/quic.ts.
#[derive(Clone, Debug)]
pub struct Closed {
    pub source: &'static str,
    pub code: i64,
    pub reason: String,
}

/// Why there is no connection.
pub struct Failed {
    pub code: Code,
    pub reason: String,
    /// How the connection ended, when there was one.
    pub closed: Option<Closed>,
}

pub enum Notice {
    Accepted(Arc<ConnectionShared>),
    Connected { ticket: u32, connection: Arc<ConnectionShared> },
    ConnectFailed { ticket: u32, why: Failed },
    Refused { remote: String, closed: Closed },
    Stream { connection: u32, stream: Arc<StreamShared> },
    Opened { ticket: u32, stream: Arc<StreamShared> },
    OpenFailed { ticket: u32, reason: String },
    Closed { connection: u32, closed: Closed },
    EndpointClosed,
    Panicked(String),
}

#[derive(Default)]
struct Waiting {
    edges: Vec<(u32, u32)>,
    notices: VecDeque<Notice>,
    refusals: usize,
}

pub struct Mailbox {
    waiting: Mutex<Waiting>,
    ringing: AtomicBool,
    bell: Mutex<Option<Bell>>,
    next_token: AtomicU32,
    untold_refusals: AtomicU64,
}

impl Mailbox {
    pub fn new() -> Self {
        Mailbox {
            waiting: Mutex::default(),
            ringing: AtomicBool::new(false),
            bell: Mutex::new(None),
            next_token: AtomicU32::new(1),
            untold_refusals: AtomicU64::new(0),
        }
    }

    /// A name for a stream or connection, unique in this endpoint (they wrap after four thousand million).
    pub fn token(&self) -> u32 {
        self.next_token.fetch_add(1, Ordering::Relaxed)
    }

    pub fn connect_bell(&self, bell: Option<Bell>) {
        *lock(&self.bell) = bell;
    }

    fn ring(&self) {
        if !self.ringing.swap(true, Ordering::AcqRel)
            && let Some(bell) = lock(&self.bell).as_ref()
        {
            bell.ring();
        }
    }

    pub fn edge(&self, token: u32, bits: u32) {
        lock(&self.waiting).edges.push((token, bits));
        self.ring();
    }

    pub fn notice(&self, notice: Notice) {
        {
            let mut waiting = lock(&self.waiting);
            if matches!(notice, Notice::Refused { .. }) {
                if waiting.refusals >= MAX_WAITING_REFUSALS {
                    self.untold_refusals.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                waiting.refusals += 1;
            }
            waiting.notices.push_back(notice);
        }
        self.ring();
    }

    /// Refusals that found the mailbox full of them.
    pub fn untold_refusals(&self) -> u64 {
        self.untold_refusals.load(Ordering::Relaxed)
    }

    pub fn next_notice(&self) -> Option<Notice> {
        let mut waiting = lock(&self.waiting);
        let notice = waiting.notices.pop_front();
        if matches!(notice, Some(Notice::Refused { .. })) {
            waiting.refusals -= 1;
        }
        notice
    }

    /// The one thing that waits, an edge: its token and bits. Zeros when it is another, or more: `take_edges` is due.
    pub fn take_only_edge(&self) -> [u32; 2] {
        let mut waiting = lock(&self.waiting);
        if waiting.edges.len() != 1 || !waiting.notices.is_empty() {
            return [0; 2];
        }
        // Under the lock: what comes later finds the bell free.
        self.ringing.store(false, Ordering::Release);
        waiting.edges.pop().map_or([0; 2], |(token, bits)| [token, bits])
    }

    /// Moves as many edges as fit into `records` as pairs `token, bits`; returns how many words were filled, and
    /// whether notices wait. What happens from here on rings again.
    pub fn take_edges(&self, records: &mut [u32]) -> (usize, bool) {
        // Before the mailbox is looked into: what comes later finds the bell free.
        self.ringing.swap(false, Ordering::AcqRel);
        let mut waiting = lock(&self.waiting);
        let count = waiting.edges.len().min(records.len() / 2);
        for (pair, (token, bits)) in records.chunks_exact_mut(2).zip(waiting.edges.drain(..count)) {
            pair[0] = token;
            pair[1] = bits;
        }
        (count * 2, !waiting.notices.is_empty())
    }
}
