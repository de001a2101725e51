/**
 * What a policy has to know of a packet. `PacketView` is the real one: a view that is reused, so a value is
 * valid until the next `parse`.
 *
 * An address is four big-endian 32-bit words (unsigned). An IPv4 address stands in word 3, the others are 0;
 * `version` tells the families apart.
 */
export interface FlowTarget {
  readonly version: 4 | 6;
  /** IANA protocol number of the upper layer, after IPv6 extension headers. */
  readonly protocol: number;
  readonly dst0: number;
  readonly dst1: number;
  readonly dst2: number;
  readonly dst3: number;
  /** The packet carries ports (TCP, UDP, UDP-Lite, SCTP, DCCP; not a later fragment). */
  readonly hasPorts: boolean;
  /** Valid when `hasPorts`. */
  readonly dstPort: number;
  /** ICMP or ICMPv6 type; -1 when it is neither, or a later fragment. */
  readonly icmpType: number;
}
