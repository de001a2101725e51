//! For tests: inputs that nobody thought of, made of valid ones. Each run has a seed of its own; what fails is named
//! with its input, to be turned into a line of a table.

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The most changes of one input.
const MAX_CHANGES: usize = 8;
/// The most bytes that one change takes out or doubles.
const MAX_PIECE: usize = 32;
/// Edges of bytes, of lengths and of QUIC's variable-length integers.
const EDGES: [u8; 12] = [0, 1, 0x0f, 0x10, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff];

/// How many times as many inputs a long run (`make fuzz`) takes.
const FACTOR: &str = "ZGATE_FUZZ_FACTOR";

/// `short`, or more in a long run.
pub fn runs(short: usize) -> usize {
    short * std::env::var(FACTOR).ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// Random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn fresh() -> Random {
        Random(RandomState::new().hash_one(0) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }

    /// `input` with some bytes set, taken out, doubled or cut off.
    pub fn changed(&mut self, input: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(MAX_CHANGES) {
            let at = self.below(bytes.len() + 1);
            let end = bytes.len().min(at + 1 + self.below(MAX_PIECE));
            match self.below(6) {
                0 if at < end => bytes[at] ^= 1 << self.below(8),
                1 if at < end => bytes[at] = EDGES[self.below(EDGES.len())],
                2 if at < end => bytes[at] = self.below(256) as u8,
                3 => drop(bytes.drain(at..end)),
                4 => bytes.extend_from_within(at..end),
                _ if self.below(4) == 0 => bytes.truncate(at),
                _ => bytes.insert(at, self.below(256) as u8),
            }
        }
        bytes
    }
}

/// Calls `check` with each of `valid` and with `short` inputs that were made of them, more in a long run. A panic of it
/// is a finding.
pub fn fuzz(valid: &[Vec<u8>], short: usize, mut check: impl FnMut(&[u8])) {
    let mut random = Random::fresh();
    let mut bear = |input: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| check(input))).is_err() {
            panic!("found with the input {input:02x?}");
        }
    };
    valid.iter().for_each(|input| bear(input));
    for _ in 0..runs(short) {
        let index = random.below(valid.len());
        bear(&random.changed(&valid[index]));
    }
}
