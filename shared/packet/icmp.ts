/**
 * ICMP errors (RFC 792, RFC 1812 section 4.3, RFC 4443): may this packet be answered with one at all ▸
 * IP header ▸ ICMP header ▸ the start of the packet it is about ▸ checksum.
 *
 * How many are sent in a time is the caller's business (RFC 4443 section 2.4 f).
 */
import type { AddressWords, IpVersion } from "./address.ts";
import { putU16, putU32 } from "./bytes.ts";
import { checksumOf, sumBytes, sumPseudoHeader } from "./checksum.ts";
import { ICMP_HEADER, PROTO_ICMP, PROTO_ICMPV6 } from "./constants.ts";
import { ipHeaderLength, putIpHeader } from "./ip-header.ts";
import { isMartian } from "./martian.ts";
import type { PacketView } from "./view.ts";

/** What is wrong, as type and code in both families. */
export interface IcmpError {
  readonly v4: readonly [type: number, code: number];
  readonly v6: readonly [type: number, code: number];
}

/** The policy forbids it (RFC 1812 section 5.2.7.1, RFC 4443 section 3.1). */
export const ICMP_PROHIBITED: IcmpError = { v4: [3, 13], v6: [1, 1] };
/** No route to the destination. */
export const ICMP_NO_ROUTE: IcmpError = { v4: [3, 0], v6: [1, 0] };
/** The destination does not answer. */
export const ICMP_HOST_UNREACHABLE: IcmpError = { v4: [3, 1], v6: [1, 3] };
/** Nobody listens on the port. */
export const ICMP_PORT_UNREACHABLE: IcmpError = { v4: [3, 3], v6: [1, 4] };
/** TTL or hop limit ran out. */
export const ICMP_TIME_EXCEEDED: IcmpError = { v4: [11, 0], v6: [3, 0] };
/** Too big for the next link, whose MTU is given (RFC 1191, RFC 4443 section 3.2). */
export const ICMP_TOO_BIG: IcmpError = { v4: [3, 4], v6: [2, 0] };

/** The longest ICMP error, bytes: RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4 c. */
const MAX_ERROR_V4 = 576;
const MAX_ERROR_V6 = 1280;

/** Bytes that a buffer for any error must have. */
export const MAX_ICMP_ERROR = MAX_ERROR_V6;

/**
 * Writes the ICMP error about the packet that `view` was parsed from (`slab` still holds it) at `out[at…]`,
 * from the address `source` of the same family. `mtu` in bytes, for `ICMP_TOO_BIG` only, else 0. Returns
 * the bytes written; 0 when no error may be sent about this packet. `out` is another buffer than `slab`, or
 * another part of it.
 */
export function writeIcmpError(
  error: IcmpError,
  mtu: number,
  view: PacketView,
  slab: Uint8Array,
  source: AddressWords,
  out: Uint8Array,
  at: number,
): number {
  if (!mayBeAnswered(view, error)) return 0;
  const { version } = view;
  const header = ipHeaderLength(version) + ICMP_HEADER;
  const quote = Math.min(view.totalLength, (version === 4 ? MAX_ERROR_V4 : MAX_ERROR_V6) - header);
  if (at + header + quote > out.length)
    throw new RangeError(`an ICMP error of ${header + quote} bytes does not fit at ${at} of ${out.length} bytes`);
  const destination: AddressWords = [view.src0, view.src1, view.src2, view.src3];
  const protocol = version === 4 ? PROTO_ICMP : PROTO_ICMPV6;
  const icmp = putIpHeader(version, protocol, source, destination, ICMP_HEADER + quote, out, at);
  const end = icmp + ICMP_HEADER + quote;
  const [type, code] = version === 4 ? error.v4 : error.v6;
  out[icmp] = type;
  out[icmp + 1] = code;
  putU16(out, icmp + 2, 0);
  putU32(out, icmp + 4, mtu);
  for (let i = 0; i < quote; i++) out[icmp + ICMP_HEADER + i] = slab[view.offset + i]!;
  const pseudo = version === 4 ? 0 : sumPseudoHeader(out, at, protocol, end - icmp);
  putU16(out, icmp + 2, checksumOf(sumBytes(out, icmp, end, pseudo)));
  return end - at;
}

/** RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 e. */
function mayBeAnswered(view: PacketView, error: IcmpError): boolean {
  if (view.isLaterFragment || isIcmpError(view.version, view.icmpType)) return false;
  if (isMartian(view.version, view.src0, view.src1, view.src2, view.src3)) return false;
  if (view.version === 6) return view.dst0 >>> 24 !== 0xff || error === ICMP_TOO_BIG;
  return view.dst3 >>> 28 !== 0xe && view.dst3 !== 0xffff_ffff;
}

/** An ICMP message of this type is an error or a redirect; -1 is no ICMP message. */
export function isIcmpError(version: IpVersion, type: number): boolean {
  if (version === 6) return (type >= 0 && type < 128) || type === 137;
  return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
}
