//! One super-packet of each kind, and the packets that it stands for: what the self-test writes, and what it expects.
//!
//! Two whole segments and a shorter one, because Linux 6.10.3 and 6.6.44 refused what ends with a shorter one (torvalds/linux
//! e269d79c7d35, mended by 89add40066f9). Identification and sequence number run over their end on the way.

use crate::constants::VNET_HEADER_LENGTH;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Payload of a segment, bytes: with all headers below the smallest MTU.
const SEGMENT: usize = 600;
const PAYLOAD: usize = 2 * SEGMENT + 123;
const FIRST_ID: u16 = 0xffff;
const FIRST_SEQUENCE: u32 = 0xffff_fe00;
const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
/// 192.0.2.1, 192.0.2.2 (RFC 5737).
const ADDRESSES_V4: [u8; 8] = [192, 0, 2, 1, 192, 0, 2, 2];
/// From ff0e::db8 to 2001:db8::2. No stack takes a packet from a multicast address (RFC 4291 section 2.7): should one
/// of these get lost, it goes nowhere.
const ADDRESSES_V6: [u8; 32] = [
    0xff, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0d, 0xb8, //
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
];

// linux/virtio_net.h
const NEEDS_CSUM: u8 = 1;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tso4,
    Tso6,
    Uso4,
    Uso6,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Tso4, Kind::Tso6, Kind::Uso4, Kind::Uso6];

    /// As in `TunFeatures` of shared/native/tun.ts.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Tso4 => "tso4",
            Kind::Tso6 => "tso6",
            Kind::Uso4 => "uso4",
            Kind::Uso6 => "uso6",
        }
    }

    pub fn is_udp(self) -> bool {
        matches!(self, Kind::Uso4 | Kind::Uso6)
    }

    fn is_ipv4(self) -> bool {
        matches!(self, Kind::Tso4 | Kind::Uso4)
    }

    fn protocol(self) -> u8 {
        if self.is_udp() { UDP } else { TCP }
    }

    fn ip_header(self) -> usize {
        if self.is_ipv4() { 20 } else { 40 }
    }

    fn transport_header(self) -> usize {
        if self.is_udp() { 8 } else { 20 }
    }

    /// Where the checksum is in the transport header.
    fn checksum_offset(self) -> usize {
        if self.is_udp() { 6 } else { 16 }
    }

    fn gso_type(self) -> u8 {
        match self {
            Kind::Tso4 => GSO_TCPV4,
            Kind::Tso6 => GSO_TCPV6,
            Kind::Uso4 | Kind::Uso6 => GSO_UDP_L4,
        }
    }

    /// With its `virtio_net_hdr`. Its checksum is open, and over IPv4 that of the header is wrong, so that no stack
    /// takes it either: whoever cuts it writes that anew.
    pub fn super_packet(self) -> Vec<u8> {
        let mut frame = vec![0; VNET_HEADER_LENGTH];
        frame[0] = NEEDS_CSUM;
        frame[1] = self.gso_type();
        let words = [self.ip_header() + self.transport_header(), SEGMENT, self.ip_header(), self.checksum_offset()];
        for (field, word) in frame[2..].chunks_exact_mut(2).zip(words) {
            field.copy_from_slice(&(word as u16).to_le_bytes());
        }
        let mut packet = self.packet(0, &payload(), true);
        let transport = self.ip_header();
        let open = self.pseudo_header_sum(&packet);
        put(&mut packet, transport + self.checksum_offset(), open);
        frame.append(&mut packet);
        frame
    }

    /// A packet that needs nothing, and that no stack takes either.
    pub fn plain_packet(self) -> Vec<u8> {
        [vec![0; VNET_HEADER_LENGTH], self.packet(0, &payload()[..SEGMENT], false)].concat()
    }

    /// Each with the `virtio_net_hdr` of a packet that needs nothing.
    pub fn segments(self) -> Vec<Vec<u8>> {
        let payload = payload();
        let mut pieces = payload.chunks(SEGMENT).enumerate().peekable();
        let mut segments = Vec::new();
        while let Some((number, piece)) = pieces.next() {
            let mut packet = self.packet(number, piece, pieces.peek().is_none());
            self.complete(&mut packet);
            segments.push([&[0; VNET_HEADER_LENGTH][..], &packet].concat());
        }
        segments
    }

    /// Whether the frame is one of ours, and not one that the kernel's own IPv6 sends.
    pub fn sent(self, frame: &[u8]) -> bool {
        let (addresses, protocol): (&[u8], usize) =
            if self.is_ipv4() { (&ADDRESSES_V4, 9) } else { (&ADDRESSES_V6, 6) };
        let end = VNET_HEADER_LENGTH + self.ip_header();
        frame.get(end - addresses.len()..end) == Some(addresses)
            && frame[VNET_HEADER_LENGTH + protocol] == self.protocol()
    }

    /// All but the checksums, which are 0.
    fn packet(self, number: usize, payload: &[u8], last: bool) -> Vec<u8> {
        let length = self.transport_header() + payload.len();
        let mut packet = vec![0; self.ip_header()];
        if self.is_ipv4() {
            packet[0] = 0x45;
            put(&mut packet, 2, (20 + length) as u16);
            put(&mut packet, 4, FIRST_ID.wrapping_add(number as u16));
            put(&mut packet, 6, 0x4000);
            packet[8] = 64;
            packet[9] = self.protocol();
            packet[12..20].copy_from_slice(&ADDRESSES_V4);
        } else {
            packet[0] = 0x60;
            put(&mut packet, 4, length as u16);
            packet[6] = self.protocol();
            packet[7] = 64;
            packet[8..40].copy_from_slice(&ADDRESSES_V6);
        }
        let mut transport = vec![0; self.transport_header()];
        put(&mut transport, 0, 40_000);
        put(&mut transport, 2, 443);
        if self.is_udp() {
            put(&mut transport, 4, length as u16);
        } else {
            let sequence = FIRST_SEQUENCE.wrapping_add((number * SEGMENT) as u32);
            transport[4..8].copy_from_slice(&sequence.to_be_bytes());
            transport[11] = 77;
            transport[12] = 5 << 4;
            transport[13] = if last { ACK | PSH } else { ACK };
            put(&mut transport, 14, 0xffff);
        }
        packet.append(&mut transport);
        packet.extend_from_slice(payload);
        packet
    }

    fn complete(self, packet: &mut [u8]) {
        let transport = self.ip_header();
        if self.is_ipv4() {
            let header = !folded(sum(&packet[..transport]));
            put(packet, 10, header);
        }
        let pseudo_header = u32::from(self.pseudo_header_sum(packet));
        let checksum = !folded(pseudo_header + sum(&packet[transport..]));
        // RFC 768: 0 would say that there is none.
        let checksum = if checksum == 0 && self.is_udp() { 0xffff } else { checksum };
        put(packet, transport + self.checksum_offset(), checksum);
    }

    /// RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1.
    fn pseudo_header_sum(self, packet: &[u8]) -> u16 {
        let addresses = if self.is_ipv4() { &packet[12..20] } else { &packet[8..40] };
        folded(sum(addresses) + u32::from(self.protocol()) + (packet.len() - self.ip_header()) as u32)
    }
}

/// Bytes that differ from their neighbours and from segment to segment.
fn payload() -> Vec<u8> {
    (0..PAYLOAD).map(|at| (at * 7 + (at >> 8)) as u8).collect()
}

fn put(target: &mut [u8], at: usize, word: u16) {
    target[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

/// The sum of 16-bit words of RFC 1071, an odd byte at the end padded with 0.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| u32::from(low))).sum()
}

fn folded(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_segments_hold_the_payload_and_their_sums_are_right() {
        for kind in Kind::ALL {
            let headers = VNET_HEADER_LENGTH + kind.ip_header() + kind.transport_header();
            let segments = kind.segments();
            let joined: Vec<u8> = segments.iter().flat_map(|segment| &segment[headers..]).copied().collect();
            assert_eq!(segments.len(), 3, "{kind:?}");
            assert_eq!(joined, payload(), "{kind:?}");
            assert!(kind.super_packet().ends_with(&joined), "{kind:?}");
            assert!(kind.sent(&kind.plain_packet()), "{kind:?}");
            for segment in &segments {
                let packet = &segment[VNET_HEADER_LENGTH..];
                let (header, transport) = packet.split_at(kind.ip_header());
                assert!(kind.sent(segment));
                assert_eq!(folded(u32::from(kind.pseudo_header_sum(packet)) + sum(transport)), 0xffff, "{kind:?}");
                assert!(!kind.is_ipv4() || folded(sum(header)) == 0xffff, "{kind:?}");
            }
        }
    }

    #[test]
    fn what_the_headers_say() {
        let tcp = Kind::Tso4.super_packet();
        assert_eq!(tcp[..10], [1, 1, 40, 0, 0x58, 2, 20, 0, 16, 0]);
        let segments = Kind::Tso4.segments();
        let ids: Vec<&[u8]> = segments.iter().map(|segment| &segment[14..16]).collect();
        assert_eq!(ids, [&[0xff, 0xff], &[0, 0], &[0, 1]]);
        let flags: Vec<u8> = segments.iter().map(|segment| segment[10 + 20 + 13]).collect();
        assert_eq!(flags, [ACK, ACK, ACK | PSH]);
        let udp = Kind::Uso6.super_packet();
        assert_eq!(udp[..10], [1, 5, 48, 0, 0x58, 2, 40, 0, 6, 0]);
        assert!(Kind::Uso6.sent(&udp) && !Kind::Uso6.sent(&udp[..49]));
        assert!(!Kind::Uso4.sent(&udp) && !Kind::Tso6.sent(&udp));
    }
}
