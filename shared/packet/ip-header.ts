/** Writes the IP header of a packet that zgate makes itself: an ICMP error, a TCP reset. */
import type { AddressWords, IpVersion } from "./address.ts";
import { putU16, putU32 } from "./bytes.ts";
import { putIpv4Checksum } from "./checksum.ts";
import { IPV4_HEADER, IPV6_HEADER } from "./constants.ts";

/** TTL or hop limit of our packets (RFC 1700; Linux's default too). */
const HOP_LIMIT = 64;
/** Never fragmented, so its identification may be 0 (RFC 6864 section 4.1). */
const DONT_FRAGMENT = 0x4000;

/** Bytes of a header without options. */
export function ipHeaderLength(version: IpVersion): 20 | 40 {
  return version === 4 ? IPV4_HEADER : IPV6_HEADER;
}

/** Writes the header of a packet with `payload` bytes behind it at `out[at]` and returns the offset behind it. */
export function putIpHeader(
  version: IpVersion,
  protocol: number,
  src: AddressWords,
  dst: AddressWords,
  payload: number,
  out: Uint8Array,
  at: number,
): number {
  if (version === 4) {
    putU16(out, at, 0x4500);
    putU16(out, at + 2, IPV4_HEADER + payload);
    putU16(out, at + 4, 0);
    putU16(out, at + 6, DONT_FRAGMENT);
    out[at + 8] = HOP_LIMIT;
    out[at + 9] = protocol;
    putU32(out, at + 12, src[3]);
    putU32(out, at + 16, dst[3]);
    putIpv4Checksum(out, at, IPV4_HEADER);
    return at + IPV4_HEADER;
  }
  putU32(out, at, 0x6000_0000);
  putU16(out, at + 4, payload);
  out[at + 6] = protocol;
  out[at + 7] = HOP_LIMIT;
  for (let i = 0; i < 4; i++) {
    putU32(out, at + 8 + 4 * i, src[i]!);
    putU32(out, at + 24 + 4 * i, dst[i]!);
  }
  return at + IPV6_HEADER;
}
