/**
 * The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.
 *
 *   sum of the pseudo-header ▸ sum of the bytes ▸ fold to 16 bits ▸ complement
 */
import { byteAt, putU16 } from "./bytes.ts";

/** Bytes summed before the sum is folded, so that it stays a small integer: 65,535 × this / 2 < 2^31. */
const FOLD_EVERY = 0x8000;

/**
 * Adds `slab[from, to)` to a sum that was folded or is 0, and returns the folded sum. An odd last byte counts
 * as if a zero followed it.
 */
export function sumBytes(slab: Uint8Array, from: number, to: number, sum: number): number {
  let at = from;
  while (to - at > 1) {
    const stop = Math.min(to - 1, at + FOLD_EVERY);
    for (; at + 7 < stop; at += 8) {
      sum += ((slab[at]! << 8) | slab[at + 1]!) + ((slab[at + 2]! << 8) | slab[at + 3]!);
      sum += ((slab[at + 4]! << 8) | slab[at + 5]!) + ((slab[at + 6]! << 8) | slab[at + 7]!);
    }
    for (; at < stop; at += 2) sum += (slab[at]! << 8) | slab[at + 1]!;
    sum = fold(sum);
  }
  if (at < to) sum = fold(sum + (byteAt(slab, at) << 8));
  return sum;
}

/** Adds the carries back in until 16 bits are left. */
export function fold(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** The checksum of a sum: what goes into the header. */
export function checksumOf(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/**
 * The sum of the pseudo-header of the packet at `slab[packet…]`: its two addresses, the protocol and the
 * transport length in bytes (RFC 9293 section 3.1, RFC 8200 section 8.1). Folded.
 */
export function sumPseudoHeader(slab: Uint8Array, packet: number, protocol: number, length: number): number {
  const ipv4 = byteAt(slab, packet) >>> 4 === 4;
  const addresses = ipv4 ? sumBytes(slab, packet + 12, packet + 20, 0) : sumBytes(slab, packet + 8, packet + 40, 0);
  return fold(addresses + protocol + (length & 0xffff) + (length >>> 16));
}

/** Writes the header checksum of the IPv4 packet at `slab[packet…]`, whose header has `headerLength` bytes. */
export function putIpv4Checksum(slab: Uint8Array, packet: number, headerLength: number): void {
  putU16(slab, packet + 10, 0);
  putU16(slab, packet + 10, checksumOf(sumBytes(slab, packet, packet + headerLength, 0)));
}

/**
 * Completes a partial checksum, as `struct virtio_net_hdr` asks with NEEDS_CSUM (linux/virtio_net.h): the
 * field at `start + field` holds the folded sum of the pseudo-header; the sum of `slab[start, end)`, that
 * field included, is complemented into it. A UDP checksum of 0 would mean none, so it is written as 0xffff
 * (RFC 768); for TCP and ICMPv6 both values mean the same.
 */
export function completeChecksum(slab: Uint8Array, start: number, field: number, end: number): void {
  const checksum = checksumOf(sumBytes(slab, start, end, 0));
  putU16(slab, start + field, checksum === 0 ? 0xffff : checksum);
}

/** The bytes `slab[start, end)` and the pseudo-header of the packet at `slab[packet…]` have a right checksum. */
export function isChecksumRight(
  slab: Uint8Array,
  packet: number,
  protocol: number,
  start: number,
  end: number,
): boolean {
  return sumBytes(slab, start, end, sumPseudoHeader(slab, packet, protocol, end - start)) === 0xffff;
}
