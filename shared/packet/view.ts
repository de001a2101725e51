/**
 * One IP packet, parsed once into a view that is reused: version and length, addresses, IPv4 options or
 * IPv6 extension headers, fragment, then ports, TCP flags or ICMP type.
 *
 * `parse` reads the bytes in place, allocates nothing and never throws. It refuses what could be judged as
 * one packet here and be taken for another one behind the relay: lengths that contradict each other,
 * trailing bytes, source routes, fragments that rewrite a transport header, endless extension headers.
 */
import { byteAt, u16At, u32At } from "./bytes.ts";
import {
  ICMP_HEADER,
  IPV4_HEADER,
  IPV6_FRAGMENT_HEADER,
  IPV6_HEADER,
  MAX_EXTENSION_HEADERS,
  MAX_IP_PACKET,
  PROTO_AH,
  PROTO_DCCP,
  PROTO_DESTINATION,
  PROTO_FRAGMENT,
  PROTO_HOP_BY_HOP,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_ROUTING,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  PROTO_UDPLITE,
  SCTP_HEADER,
  TCP_HEADER,
  UDP_HEADER,
} from "./constants.ts";
import {
  FAULT_BAD_EXTENSION,
  FAULT_BAD_HEADER_LENGTH,
  FAULT_BAD_OPTION,
  FAULT_BAD_TRANSPORT,
  FAULT_BAD_VERSION,
  FAULT_FRAGMENT_OVERFLOW,
  FAULT_JUMBOGRAM,
  FAULT_LENGTH_MISMATCH,
  FAULT_NONE,
  FAULT_SOURCE_ROUTE,
  FAULT_TINY_FRAGMENT,
  FAULT_TOO_MANY_EXTENSIONS,
  FAULT_TRUNCATED,
} from "./fault.ts";
import type { PacketFault } from "./fault.ts";
import type { FlowTarget } from "./flow.ts";

/** More fragments follow (RFC 791 section 3.1), in the IPv4 flags and offset field. */
const IPV4_MORE_FRAGMENTS = 0x2000;
/** IPv4 options (RFC 791 section 3.1): end of list, no operation, loose and strict source route. */
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LSRR = 131;
const OPTION_SSRR = 137;

const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO = 8;
const ICMP_TIMESTAMP = 13;
const ICMP_ADDRESS_MASK_REPLY = 18;
const ICMPV6_ECHO_REQUEST = 128;
const ICMPV6_ECHO_REPLY = 129;

/** A word above 2^31 as the first value of a field makes V8 keep the field as an unboxed double. */
const WORD = 0xffff_ffff;

/** A view of one packet; its fields are valid after `parse` returned true, until the next `parse`. */
export class PacketView implements FlowTarget {
  version: 4 | 6 = 4;
  /**
   * Upper-layer protocol, after IPv6 extension headers. Mobility, HIP and Shim6 headers are an upper layer
   * here as they are to Linux (`ipv6_ext_hdr`), so no port rule matches what hides behind them. Of a later
   * fragment: what its fragment header says.
   */
  protocol = 0;
  src0 = WORD;
  src1 = WORD;
  src2 = WORD;
  src3 = WORD;
  dst0 = WORD;
  dst1 = WORD;
  dst2 = WORD;
  dst3 = WORD;
  hasPorts = false;
  /** Valid when `hasPorts`, else 0. */
  srcPort = 0;
  /** Valid when `hasPorts`, else 0. */
  dstPort = 0;
  /** ICMP or ICMPv6 type; -1 when it is neither, or a later fragment. */
  icmpType = -1;
  /** Valid when `icmpType` is not -1, else 0. */
  icmpCode = 0;
  /** The identifier of an ICMP query or its reply (echo, timestamp, …), else 0. */
  icmpId = 0;
  /** One of several fragments of a datagram. An IPv6 atomic fragment (RFC 6946) is none. */
  isFragment = false;
  /** A fragment that is not the first: it has no transport header. */
  isLaterFragment = false;
  /** The fragment's identification, valid when `isFragment`, else 0. */
  fragmentId = WORD;
  /** TCP flags, valid when `protocol` is TCP and `hasPorts`, else 0. */
  tcpFlags = 0;
  /** TTL or hop limit. */
  hopLimit = 0;
  /** Where the packet begins in the slab. */
  offset = 0;
  /** Bytes of the IP header with options and extension headers. */
  headerLength = 0;
  /** Where the transport header (or a later fragment's data) begins in the slab. */
  transportOffset = 0;
  /** Bytes of the transport header, 0 when it is unknown or absent. */
  transportHeaderLength = 0;
  /** Bytes of the packet. */
  totalLength = 0;
  /** Why the last `parse` returned false: an index into `PACKET_FAULTS`. */
  fault: PacketFault = FAULT_NONE;

  /**
   * Reads the packet that fills `slab[from, to)` exactly. False when it is malformed; `fault` says why and
   * the other fields hold nothing of use.
   */
  parse(slab: Uint8Array, from: number, to: number): boolean {
    this.fault = FAULT_NONE;
    this.offset = from;
    this.totalLength = to - from;
    this.hasPorts = false;
    this.srcPort = 0;
    this.dstPort = 0;
    this.icmpType = -1;
    this.icmpCode = 0;
    this.icmpId = 0;
    this.isFragment = false;
    this.isLaterFragment = false;
    this.fragmentId = 0;
    this.tcpFlags = 0;
    this.transportHeaderLength = 0;
    if (from >= to || from < 0 || to > slab.length) return this.#refuse(FAULT_TRUNCATED);
    const version = byteAt(slab, from) >>> 4;
    if (version === 4) return this.#parseIpv4(slab, from, to);
    if (version === 6) return this.#parseIpv6(slab, from, to);
    return this.#refuse(FAULT_BAD_VERSION);
  }

  #refuse(fault: PacketFault): false {
    this.fault = fault;
    return false;
  }

  /** RFC 791 section 3.1. */
  #parseIpv4(slab: Uint8Array, from: number, to: number): boolean {
    if (to - from < IPV4_HEADER) return this.#refuse(FAULT_TRUNCATED);
    const headerLength = (byteAt(slab, from) & 0x0f) << 2;
    const totalLength = u16At(slab, from + 2);
    if (totalLength !== to - from) return this.#refuse(FAULT_LENGTH_MISMATCH);
    if (headerLength < IPV4_HEADER || headerLength > totalLength) return this.#refuse(FAULT_BAD_HEADER_LENGTH);
    this.version = 4;
    this.headerLength = headerLength;
    this.transportOffset = from + headerLength;
    this.hopLimit = byteAt(slab, from + 8);
    this.protocol = byteAt(slab, from + 9);
    this.src0 = 0;
    this.src1 = 0;
    this.src2 = 0;
    this.src3 = u32At(slab, from + 12);
    this.dst0 = 0;
    this.dst1 = 0;
    this.dst2 = 0;
    this.dst3 = u32At(slab, from + 16);
    if (headerLength > IPV4_HEADER) {
      const fault = optionsFault(slab, from + IPV4_HEADER, from + headerLength);
      if (fault !== FAULT_NONE) return this.#refuse(fault);
    }
    const flagsAndOffset = u16At(slab, from + 6);
    const offset = (flagsAndOffset & 0x1fff) << 3;
    const more = (flagsAndOffset & IPV4_MORE_FRAGMENTS) !== 0;
    if (more || offset !== 0) {
      this.fragmentId = u16At(slab, from + 4);
      if (!this.#parseFragment(offset, to)) return false;
    }
    return this.isLaterFragment || this.#parseTransport(slab, to);
  }

  /** RFC 8200 sections 3 and 4. */
  #parseIpv6(slab: Uint8Array, from: number, to: number): boolean {
    if (to - from < IPV6_HEADER) return this.#refuse(FAULT_TRUNCATED);
    const payloadLength = u16At(slab, from + 4);
    let next = byteAt(slab, from + 6);
    if (payloadLength !== to - from - IPV6_HEADER) {
      return this.#refuse(payloadLength === 0 && next === PROTO_HOP_BY_HOP ? FAULT_JUMBOGRAM : FAULT_LENGTH_MISMATCH);
    }
    this.version = 6;
    this.hopLimit = byteAt(slab, from + 7);
    this.src0 = u32At(slab, from + 8);
    this.src1 = u32At(slab, from + 12);
    this.src2 = u32At(slab, from + 16);
    this.src3 = u32At(slab, from + 20);
    this.dst0 = u32At(slab, from + 24);
    this.dst1 = u32At(slab, from + 28);
    this.dst2 = u32At(slab, from + 32);
    this.dst3 = u32At(slab, from + 36);

    let at = from + IPV6_HEADER;
    let sawFragment = false;
    for (let walked = 0; isExtension(next); walked++) {
      if (walked === MAX_EXTENSION_HEADERS) return this.#refuse(FAULT_TOO_MANY_EXTENSIONS);
      if (to - at < 8) return this.#refuse(FAULT_TRUNCATED);
      const header = next;
      next = byteAt(slab, at);
      if (header === PROTO_FRAGMENT) {
        if (sawFragment) return this.#refuse(FAULT_BAD_EXTENSION);
        sawFragment = true;
        const offsetAndMore = u16At(slab, at + 2);
        const fragmentId = u32At(slab, at + 4);
        at += IPV6_FRAGMENT_HEADER;
        this.protocol = next;
        this.transportOffset = at;
        if ((offsetAndMore & 0xfff9) !== 0) {
          this.fragmentId = fragmentId;
          if (!this.#parseFragment(offsetAndMore & 0xfff8, to)) return false;
          if (this.isLaterFragment) break;
        }
        continue;
      }
      if (header === PROTO_HOP_BY_HOP && walked > 0) return this.#refuse(FAULT_BAD_EXTENSION);
      if (header === PROTO_ROUTING && byteAt(slab, at + 3) !== 0) return this.#refuse(FAULT_SOURCE_ROUTE);
      const length = byteAt(slab, at + 1);
      at += header === PROTO_AH ? (length + 2) << 2 : (length + 1) << 3;
      if (at > to) return this.#refuse(FAULT_TRUNCATED);
    }
    this.protocol = next;
    this.headerLength = at - from;
    this.transportOffset = at;
    return this.isLaterFragment || this.#parseTransport(slab, to);
  }

  /** A fragment at `offset` bytes of its datagram; `protocol` and `transportOffset` are set. */
  #parseFragment(offset: number, to: number): boolean {
    this.isFragment = true;
    this.isLaterFragment = offset !== 0;
    if (offset + (to - this.transportOffset) > MAX_IP_PACKET) return this.#refuse(FAULT_FRAGMENT_OVERFLOW);
    if (offset !== 0 && offset < TCP_HEADER && this.protocol === PROTO_TCP) return this.#refuse(FAULT_TINY_FRAGMENT);
    return true;
  }

  /** A whole transport header stands in every packet that is not a later fragment (RFC 7112 for IPv6). */
  #parseTransport(slab: Uint8Array, to: number): boolean {
    const at = this.transportOffset;
    const length = to - at;
    switch (this.protocol) {
      case PROTO_TCP: {
        if (length < TCP_HEADER) return this.#refuse(FAULT_BAD_TRANSPORT);
        const headerLength = (byteAt(slab, at + 12) >>> 4) << 2;
        if (headerLength < TCP_HEADER || headerLength > length) return this.#refuse(FAULT_BAD_TRANSPORT);
        this.transportHeaderLength = headerLength;
        this.tcpFlags = byteAt(slab, at + 13);
        break;
      }
      case PROTO_UDP: {
        if (length < UDP_HEADER) return this.#refuse(FAULT_BAD_TRANSPORT);
        const datagram = u16At(slab, at + 4);
        if (datagram < UDP_HEADER || (datagram > length && !this.isFragment)) return this.#refuse(FAULT_BAD_TRANSPORT);
        this.transportHeaderLength = UDP_HEADER;
        break;
      }
      case PROTO_UDPLITE:
        if (length < UDP_HEADER) return this.#refuse(FAULT_BAD_TRANSPORT);
        this.transportHeaderLength = UDP_HEADER;
        break;
      case PROTO_SCTP:
      case PROTO_DCCP:
        if (length < SCTP_HEADER) return this.#refuse(FAULT_BAD_TRANSPORT);
        break;
      case PROTO_ICMP:
      case PROTO_ICMPV6:
        return this.#parseIcmp(slab, at, length);
      default:
        return true;
    }
    this.hasPorts = true;
    this.srcPort = u16At(slab, at);
    this.dstPort = u16At(slab, at + 2);
    return true;
  }

  /** RFC 792, RFC 4443 section 2.1. ICMP inside the other family is just an unknown protocol. */
  #parseIcmp(slab: Uint8Array, at: number, length: number): boolean {
    if ((this.protocol === PROTO_ICMP) !== (this.version === 4)) return true;
    if (length < ICMP_HEADER) return this.#refuse(FAULT_BAD_TRANSPORT);
    const type = byteAt(slab, at);
    this.icmpType = type;
    this.icmpCode = byteAt(slab, at + 1);
    this.transportHeaderLength = ICMP_HEADER;
    if (hasIdentifier(this.version, type)) this.icmpId = u16At(slab, at + 4);
    return true;
  }
}

function isExtension(protocol: number): boolean {
  switch (protocol) {
    case PROTO_HOP_BY_HOP:
    case PROTO_ROUTING:
    case PROTO_FRAGMENT:
    case PROTO_AH:
    case PROTO_DESTINATION:
      return true;
    default:
      return false;
  }
}

function hasIdentifier(version: 4 | 6, type: number): boolean {
  if (version === 6) return type === ICMPV6_ECHO_REQUEST || type === ICMPV6_ECHO_REPLY;
  if (type === ICMP_ECHO || type === ICMP_ECHO_REPLY) return true;
  return type >= ICMP_TIMESTAMP && type <= ICMP_ADDRESS_MASK_REPLY;
}

/** Walks the IPv4 options in `slab[at, end)`; every step goes on by one byte or more. */
function optionsFault(slab: Uint8Array, at: number, end: number): PacketFault {
  while (at < end) {
    const kind = byteAt(slab, at);
    if (kind === OPTION_END) return FAULT_NONE;
    if (kind === OPTION_NOP) {
      at++;
      continue;
    }
    if (kind === OPTION_LSRR || kind === OPTION_SSRR) return FAULT_SOURCE_ROUTE;
    if (at + 1 >= end) return FAULT_BAD_OPTION;
    const length = byteAt(slab, at + 1);
    if (length < 2 || at + length > end) return FAULT_BAD_OPTION;
    at += length;
  }
  return FAULT_NONE;
}
