/**
 * Numbers of the packet formats: those of the specifications first, our own limits behind them.
 */

// IANA protocol numbers (https://www.iana.org/assignments/protocol-numbers)
export const PROTO_HOP_BY_HOP = 0;
export const PROTO_ICMP = 1;
export const PROTO_TCP = 6;
export const PROTO_UDP = 17;
export const PROTO_DCCP = 33;
export const PROTO_ROUTING = 43;
export const PROTO_FRAGMENT = 44;
export const PROTO_AH = 51;
export const PROTO_ICMPV6 = 58;
export const PROTO_DESTINATION = 60;
export const PROTO_SCTP = 132;
export const PROTO_UDPLITE = 136;

/** The packets of this protocol begin with a source and a destination port. */
export function carriesPorts(protocol: number): boolean {
  switch (protocol) {
    case PROTO_TCP:
    case PROTO_UDP:
    case PROTO_UDPLITE:
    case PROTO_SCTP:
    case PROTO_DCCP:
      return true;
    default:
      return false;
  }
}

/** IPv4 header without options, bytes (RFC 791 section 3.1). */
export const IPV4_HEADER = 20;
/** IPv6 fixed header, bytes (RFC 8200 section 3). */
export const IPV6_HEADER = 40;
/** IPv6 fragment header, bytes (RFC 8200 section 4.5). */
export const IPV6_FRAGMENT_HEADER = 8;
/** TCP header without options, bytes (RFC 9293 section 3.1). */
export const TCP_HEADER = 20;
/** UDP and UDP-Lite header, bytes (RFC 768, RFC 3828). */
export const UDP_HEADER = 8;
/** SCTP common header (RFC 9260 section 3.1), and the shortest DCCP generic header (RFC 4340 section 5.1), bytes. */
export const SCTP_HEADER = 12;
/** ICMP and ICMPv6 header with its second word, bytes: Linux reads no shorter message (struct icmphdr, icmp6hdr). */
export const ICMP_HEADER = 8;
/** The largest value of an IP length field, bytes. */
export const MAX_IP_PACKET = 65_535;

// TCP flags (RFC 9293 section 3.1, RFC 3168 section 6.1)
export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

/**
 * IPv6 extension headers walked before a packet is refused. RFC 8200 section 4.1 names at most six in an
 * orderly packet (destination options twice); two more are tolerance, and the bound on work a packet.
 */
export const MAX_EXTENSION_HEADERS = 8;
