//! Which new connections get a handshake: a pure count, asked once for each Initial.
//!
//! ```text
//!   Initial ▸ too many in all: refuse
//!           ▸ address not validated, and many in progress: Retry (RFC 9000 section 8.1.2)
//!           ▸ address validated, and its network has many in progress: refuse
//!           ▸ take, counted until the handshake ends
//! ```
//!
//! Only validated addresses count for their network: an Initial with a forged source must not be able to keep
//! the network that it names from connecting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::constants::{PREFIX_BITS_V4, PREFIX_BITS_V6};
use crate::lock::lock;

#[derive(Clone, Copy)]
pub struct HandshakeLimits {
    /// In progress, above which an Initial is answered with Retry.
    pub retry_above: u32,
    /// In progress, beyond which new ones are refused.
    pub max: u32,
    /// The same for the validated addresses of one network.
    pub max_per_prefix: u32,
}

/// A source network: /24 or /56. The addresses of one host or site, which come for free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Prefix(u128);

impl Prefix {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = v4.to_bits() >> (u32::BITS - PREFIX_BITS_V4) << (u32::BITS - PREFIX_BITS_V4);
                Prefix(std::net::Ipv4Addr::from_bits(bits).to_ipv6_mapped().to_bits())
            }
            IpAddr::V6(v6) => Prefix(v6.to_bits() >> (u128::BITS - PREFIX_BITS_V6) << (u128::BITS - PREFIX_BITS_V6)),
        }
    }
}

#[derive(Default)]
struct InProgress {
    total: u32,
    by_prefix: HashMap<Prefix, u32>,
}

/// One handshake in progress, counted until it is dropped.
pub struct Handshake {
    counts: Arc<Mutex<InProgress>>,
    prefix: Option<Prefix>,
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        counts.total -= 1;
        if let Some(prefix) = self.prefix
            && let Some(count) = counts.by_prefix.get_mut(&prefix)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_prefix.remove(&prefix);
            }
        }
    }
}

pub enum Admission {
    Take(Handshake),
    Retry,
    /// So many are in progress in all.
    Full(u32),
    /// So many are in progress from its network.
    PrefixFull(u32),
}

pub struct HandshakeGate {
    limits: HandshakeLimits,
    counts: Arc<Mutex<InProgress>>,
}

impl HandshakeGate {
    pub fn new(limits: HandshakeLimits) -> Self {
        HandshakeGate { limits, counts: Arc::default() }
    }

    /// `validated`: the peer has shown that it receives what is sent to `address`.
    pub fn admit(&self, address: IpAddr, validated: bool) -> Admission {
        let mut counts = lock(&self.counts);
        if counts.total >= self.limits.max {
            return Admission::Full(counts.total);
        }
        if !validated && counts.total >= self.limits.retry_above {
            return Admission::Retry;
        }
        let prefix = validated.then(|| Prefix::of(address));
        if let Some(prefix) = prefix {
            let count = counts.by_prefix.get(&prefix).copied().unwrap_or(0);
            if count >= self.limits.max_per_prefix {
                return Admission::PrefixFull(count);
            }
            counts.by_prefix.insert(prefix, count + 1);
        }
        counts.total += 1;
        Admission::Take(Handshake { counts: Arc::clone(&self.counts), prefix })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Admission, Handshake, HandshakeGate, HandshakeLimits, Prefix};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn gate(retry_above: u32, max: u32, max_per_prefix: u32) -> HandshakeGate {
        HandshakeGate::new(HandshakeLimits { retry_above, max, max_per_prefix })
    }

    fn take(gate: &HandshakeGate, from: &str, validated: bool) -> Handshake {
        match gate.admit(address(from), validated) {
            Admission::Take(handshake) => handshake,
            _ => panic!("{from} was not taken"),
        }
    }

    #[test]
    fn networks_are_told_apart_by_24_and_56_bits() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.254", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("::ffff:192.0.2.1", "192.0.2.9", true),
            ("2001:db8:0:100::1", "2001:db8:0:1ff::9", true),
            ("2001:db8:0:100::1", "2001:db8:0:200::1", false),
        ] {
            assert_eq!(Prefix::of(address(one)) == Prefix::of(address(other)), same, "{one} {other}");
        }
    }

    #[test]
    fn a_network_is_refused_at_its_limit_and_others_are_not() {
        let gate = gate(100, 100, 2);
        let first = take(&gate, "192.0.2.1", true);
        let _second = take(&gate, "192.0.2.2", true);
        assert!(matches!(gate.admit(address("192.0.2.3"), true), Admission::PrefixFull(2)));
        let _other = take(&gate, "192.0.3.1", true);
        drop(first);
        let _third = take(&gate, "192.0.2.3", true);
    }

    #[test]
    fn a_forged_source_takes_nothing_from_its_network() {
        let gate = gate(2, 100, 1);
        let _forged = [take(&gate, "192.0.2.1", false), take(&gate, "192.0.2.1", false)];
        assert!(matches!(gate.admit(address("192.0.2.1"), false), Admission::Retry));
        let _real = take(&gate, "192.0.2.1", true);
    }

    #[test]
    fn none_is_taken_beyond_the_limit_of_all_and_what_ends_makes_room() {
        let gate = gate(100, 1, 100);
        let only = take(&gate, "192.0.2.1", false);
        assert!(matches!(gate.admit(address("198.51.100.1"), true), Admission::Full(1)));
        drop(only);
        drop(take(&gate, "198.51.100.1", true));
        let counts = gate.counts.lock().expect("no panic under the lock");
        assert_eq!((counts.total, counts.by_prefix.len()), (0, 0));
    }
}
