/**
 * The packet that an ICMP error is about (RFC 792, RFC 4443 section 3): its IP header and at least the first
 * 8 bytes behind it, cut off anywhere after that. Enough to know the flow.
 */
import { byteAt, u16At, u32At } from "./bytes.ts";
import { ICMP_HEADER, IPV4_HEADER, IPV6_HEADER, PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from "./constants.ts";
import type { FlowTuple } from "./flow-hash.ts";
import type { PacketView } from "./view.ts";

/** Bytes behind the IP header that are needed: ports, or an ICMP header with its identifier. */
const NEEDED = 8;

const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO = 8;
const ICMPV6_ECHO = 128;
const ICMPV6_ECHO_REPLY = 129;

/** A view that is reused; its fields are valid after `parse` returned true, until the next `parse`. */
export class QuotedPacket implements FlowTuple {
  version: 4 | 6 = 4;
  protocol = 0;
  src0 = 0;
  src1 = 0;
  src2 = 0;
  src3 = 0;
  dst0 = 0;
  dst1 = 0;
  dst2 = 0;
  dst3 = 0;
  hasPorts = false;
  srcPort = 0;
  dstPort = 0;
  icmpType = -1;
  icmpId = 0;
  readonly isFragment = false;

  /** Reads what the ICMP error in `error` quotes. False: too short, a later fragment, or extension headers. */
  parse(slab: Uint8Array, error: PacketView): boolean {
    const at = error.transportOffset + ICMP_HEADER;
    const end = error.offset + error.totalLength;
    if (at + IPV4_HEADER > end || byteAt(slab, at) >>> 4 !== error.version) return false;
    this.version = error.version;
    return error.version === 4 ? this.#parseIpv4(slab, at, end) : this.#parseIpv6(slab, at, end);
  }

  #parseIpv4(slab: Uint8Array, at: number, end: number): boolean {
    const header = (byteAt(slab, at) & 15) * 4;
    const laterFragment = (u16At(slab, at + 6) & 0x1fff) !== 0;
    if (header < IPV4_HEADER || laterFragment || at + header + NEEDED > end) return false;
    this.src0 = this.src1 = this.src2 = this.dst0 = this.dst1 = this.dst2 = 0;
    this.src3 = u32At(slab, at + 12);
    this.dst3 = u32At(slab, at + 16);
    return this.#parseTransport(slab, at + header, byteAt(slab, at + 9));
  }

  #parseIpv6(slab: Uint8Array, at: number, end: number): boolean {
    if (at + IPV6_HEADER + NEEDED > end) return false;
    this.src0 = u32At(slab, at + 8);
    this.src1 = u32At(slab, at + 12);
    this.src2 = u32At(slab, at + 16);
    this.src3 = u32At(slab, at + 20);
    this.dst0 = u32At(slab, at + 24);
    this.dst1 = u32At(slab, at + 28);
    this.dst2 = u32At(slab, at + 32);
    this.dst3 = u32At(slab, at + 36);
    return this.#parseTransport(slab, at + IPV6_HEADER, byteAt(slab, at + 6));
  }

  #parseTransport(slab: Uint8Array, at: number, protocol: number): boolean {
    this.protocol = protocol;
    this.hasPorts = protocol === PROTO_TCP || protocol === PROTO_UDP;
    this.srcPort = this.hasPorts ? u16At(slab, at) : 0;
    this.dstPort = this.hasPorts ? u16At(slab, at + 2) : 0;
    const isIcmp = protocol === (this.version === 4 ? PROTO_ICMP : PROTO_ICMPV6);
    this.icmpType = isIcmp ? byteAt(slab, at) : -1;
    this.icmpId = isIcmp && isEcho(this.version, this.icmpType) ? u16At(slab, at + 4) : 0;
    return this.hasPorts || isIcmp;
  }
}

function isEcho(version: 4 | 6, type: number): boolean {
  return version === 4
    ? type === ICMP_ECHO || type === ICMP_ECHO_REPLY
    : type === ICMPV6_ECHO || type === ICMPV6_ECHO_REPLY;
}
