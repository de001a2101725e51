//! Datagrams that wait for more to the same peer. QUIC hands over ten at a time; one system call takes 64 (UDP_SEGMENT,
//! udp(7)), and the kernel carries them as one as far as the device, or to the other end where that is on this host.

use std::net::{IpAddr, SocketAddr};

use crate::constants::{MAX_UDP_PAYLOAD, TRANSMIT_SEGMENTS, UDP_SEGMENTS};
use crate::quic::lib_alias::udp::{EcnCodepoint, Transmit};

#[derive(PartialEq, Clone, Copy)]
struct Envelope {
    destination: SocketAddr,
    source: Option<IpAddr>,
    ecn: Option<EcnCodepoint>,
    /// Bytes of each datagram but the last, which may be shorter.
    segment: usize,
}

#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    envelope: Option<Envelope>,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.envelope.is_none()
    }

    /// Keeps the datagrams if they belong to what is here, or if nothing is here. One alone begins nothing: it may be a
    /// probe of the path's MTU, whose failure others must not share.
    pub fn take(&mut self, transmit: &Transmit<'_>) -> bool {
        let envelope = |segment| Envelope {
            destination: transmit.destination,
            source: transmit.src_ip,
            ecn: transmit.ecn,
            segment,
        };
        let Some(here) = self.envelope else {
            let Some(segment) = transmit.segment_size else { return false };
            self.envelope = Some(envelope(segment));
            self.bytes.extend_from_slice(transmit.contents);
            return true;
        };
        let fits = match transmit.segment_size {
            Some(segment) => segment == here.segment,
            None => transmit.contents.len() <= here.segment,
        };
        let joins = fits
            && here == envelope(here.segment)
            && self.bytes.len().is_multiple_of(here.segment)
            && self.bytes.len() + transmit.contents.len() <= most(here.segment);
        if joins {
            self.bytes.extend_from_slice(transmit.contents);
        }
        joins
    }

    /// Whether a hand-over of QUIC would not fit any more, or would not follow whole datagrams.
    pub fn is_full(&self) -> bool {
        self.envelope.is_some_and(|Envelope { segment, .. }| {
            !self.bytes.len().is_multiple_of(segment) || self.bytes.len() + TRANSMIT_SEGMENTS * segment > most(segment)
        })
    }

    pub fn transmit(&self) -> Option<Transmit<'_>> {
        self.envelope.map(|Envelope { destination, source, ecn, segment }| Transmit {
            destination,
            ecn,
            contents: &self.bytes,
            segment_size: Some(segment),
            src_ip: source,
        })
    }

    pub fn clear(&mut self) {
        self.envelope = None;
        self.bytes.clear();
    }
}

/// Bytes that one system call takes in datagrams of `segment` bytes.
fn most(segment: usize) -> usize {
    (UDP_SEGMENTS * segment).min(MAX_UDP_PAYLOAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagrams<'a>(to: u16, segment: Option<usize>, contents: &'a [u8]) -> Transmit<'a> {
        let destination = SocketAddr::from(([127, 0, 0, 1], to));
        Transmit { destination, ecn: None, contents, segment_size: segment, src_ip: None }
    }

    fn holding<'a>(first: &Transmit<'a>) -> Outbox {
        let mut outbox = Outbox::default();
        assert!(outbox.take(first));
        outbox
    }

    #[test]
    fn what_belongs_together_leaves_together() {
        let bytes: Vec<u8> = (0..=255).cycle().take(4_000).collect();
        let mut outbox = holding(&datagrams(1, Some(1000), &bytes[..2_000]));
        assert!(outbox.take(&datagrams(1, Some(1000), &bytes[2_000..3_500])), "the last one is shorter");
        let sent = outbox.transmit().expect("something waits");
        assert_eq!((sent.contents, sent.segment_size), (&bytes[..3_500], Some(1000)));
        outbox.clear();
        assert!(outbox.is_empty() && outbox.transmit().is_none());
    }

    #[test]
    fn what_does_not_belong_to_it_waits_for_the_next_one() {
        let bytes = [7; 3_000];
        for (name, other) in [
            ("another peer", datagrams(2, Some(1000), &bytes[..2_000])),
            ("another size", datagrams(1, Some(999), &bytes[..1_998])),
            ("a larger one", datagrams(1, None, &bytes[..1_001])),
            ("other congestion marks", Transmit { ecn: Some(EcnCodepoint::Ect0), ..datagrams(1, Some(1000), &bytes) }),
            ("from elsewhere", Transmit { src_ip: Some([127, 0, 0, 2].into()), ..datagrams(1, Some(1000), &bytes) }),
        ] {
            let mut outbox = holding(&datagrams(1, Some(1000), &bytes[..2_000]));
            assert!(!outbox.take(&other), "{name}");
            assert_eq!(outbox.transmit().map(|sent| sent.contents.len()), Some(2_000), "{name}");
        }
        let mut short = holding(&datagrams(1, Some(1000), &bytes[..1_500]));
        assert!(short.is_full(), "nothing follows a shorter one");
        assert!(!short.take(&datagrams(1, None, &bytes[..1_000])));
        assert!(!Outbox::default().take(&datagrams(1, None, &bytes[..1_000])), "one alone begins nothing");
    }

    #[test]
    fn it_takes_no_more_than_a_system_call() {
        for segment in [1, 100, 1_200, 1_452, 8_952] {
            let bytes = vec![0; TRANSMIT_SEGMENTS * segment];
            let mut outbox = Outbox::default();
            while !outbox.is_full() {
                assert!(outbox.take(&datagrams(1, Some(segment), &bytes)), "{segment}: full before it says so");
                if bytes.len() > MAX_UDP_PAYLOAD {
                    break;
                }
            }
            let mut length = outbox.transmit().map_or(0, |sent| sent.contents.len());
            while outbox.take(&datagrams(1, None, &bytes[..segment])) {
                length += segment;
            }
            assert!(length <= UDP_SEGMENTS * segment, "{segment}");
            assert!(length <= MAX_UDP_PAYLOAD || bytes.len() > MAX_UDP_PAYLOAD, "{segment}");
        }
    }
}
