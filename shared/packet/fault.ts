/**
 * Why `PacketView.parse` refused a packet. A small number, so that a counter is `counts[fault]++`; the name
 * is for logs and metrics.
 */
export const PACKET_FAULTS = [
  /** Nothing is wrong. */
  "none",
  /** The packet ends inside a header that it announces. */
  "truncated",
  /** The version is neither 4 nor 6. */
  "bad-version",
  /** The IPv4 header length is under 20 bytes or over the total length. */
  "bad-header-length",
  /** The IP length field says something else than the frame that carried the packet; trailing bytes included. */
  "length-mismatch",
  /** An IPv6 payload length of 0 before a hop-by-hop header: a jumbogram (RFC 2675). */
  "jumbogram",
  /** An IPv4 option with an impossible length. */
  "bad-option",
  /** A source route (RFC 791 section 3.1) or a routing header with segments left (RFC 5095): the real destination is hidden. */
  "source-route",
  /** An IPv6 hop-by-hop header that is not first, or a second fragment header. */
  "bad-extension",
  /** More IPv6 extension headers than `MAX_EXTENSION_HEADERS`. */
  "too-many-extensions",
  /** A fragment that would overwrite the transport header of the first one (RFC 1858, RFC 3128). */
  "tiny-fragment",
  /** A fragment that ends behind byte 65,535 of its datagram. */
  "fragment-overflow",
  /** TCP, UDP, SCTP, DCCP or ICMP: shorter than its header, or a length inside contradicts the packet. */
  "bad-transport",
] as const;

export type PacketFaultName = (typeof PACKET_FAULTS)[number];

/** Index into `PACKET_FAULTS`. */
export type PacketFault = number;

export const FAULT_NONE = 0;
export const FAULT_TRUNCATED = 1;
export const FAULT_BAD_VERSION = 2;
export const FAULT_BAD_HEADER_LENGTH = 3;
export const FAULT_LENGTH_MISMATCH = 4;
export const FAULT_JUMBOGRAM = 5;
export const FAULT_BAD_OPTION = 6;
export const FAULT_SOURCE_ROUTE = 7;
export const FAULT_BAD_EXTENSION = 8;
export const FAULT_TOO_MANY_EXTENSIONS = 9;
export const FAULT_TINY_FRAGMENT = 10;
export const FAULT_FRAGMENT_OVERFLOW = 11;
export const FAULT_BAD_TRANSPORT = 12;

/** The name of a fault. */
export function packetFaultName(fault: PacketFault): PacketFaultName {
  return PACKET_FAULTS[fault] ?? "none";
}
