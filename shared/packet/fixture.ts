/**
 * Packets for tests, built the slow and obvious way: lists of bytes, checksums by the letter of RFC 1071.
 * Nothing here uses the code under test but the reading of address literals.
 */
import { parseAddress } from "./address.ts";
import type { AddressWords } from "./address.ts";

/** The bytes of a hex dump with any spaces. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

/** RFC 1071 section 1, word by word. */
export function naiveChecksum(bytes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 65_536) + Math.floor(sum / 65_536);
  return 0xffff - sum;
}

export interface Ipv4Spec {
  readonly src?: string;
  readonly dst?: string;
  readonly protocol?: number;
  readonly id?: number;
  /** The flags and the offset field, as they stand in the header. */
  readonly flagsAndOffset?: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** A multiple of 4 bytes. */
  readonly options?: ArrayLike<number>;
  readonly payload?: ArrayLike<number>;
}

export function ipv4(spec: Ipv4Spec): Uint8Array {
  const options = Array.from(spec.options ?? []);
  const payload = Array.from(spec.payload ?? []);
  const length = 20 + options.length + payload.length;
  const header = [
    ...[
      0x40 | (5 + options.length / 4),
      spec.tos ?? 0,
      ...u16(length),
      ...u16(spec.id ?? 0),
      ...u16(spec.flagsAndOffset ?? 0),
    ],
    ...[
      spec.ttl ?? 64,
      spec.protocol ?? 17,
      0,
      0,
      ...addressBytes(spec.src ?? "10.0.0.1"),
      ...addressBytes(spec.dst ?? "10.0.0.2"),
    ],
    ...options,
  ];
  header.splice(10, 2, ...u16(naiveChecksum(header)));
  return Uint8Array.from([...header, ...payload]);
}

export interface Ipv6Spec {
  readonly src?: string;
  readonly dst?: string;
  /** The protocol of `payload`, which begins with the extension headers where there are any. */
  readonly protocol?: number;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly payload?: ArrayLike<number>;
}

export function ipv6(spec: Ipv6Spec): Uint8Array {
  const payload = Array.from(spec.payload ?? []);
  const first = 0x6000_0000 + (spec.trafficClass ?? 0) * 2 ** 20 + (spec.flowLabel ?? 0);
  return Uint8Array.from([
    ...[...u32(first), ...u16(payload.length), spec.protocol ?? 17, spec.hopLimit ?? 64],
    ...[...addressBytes(spec.src ?? "fd00::1"), ...addressBytes(spec.dst ?? "fd00::2"), ...payload],
  ]);
}

export interface TcpSpec {
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly seq?: number;
  readonly ack?: number;
  readonly flags?: number;
  readonly window?: number;
  /** A multiple of 4 bytes. */
  readonly options?: ArrayLike<number>;
  readonly data?: ArrayLike<number>;
}

/** A TCP segment without a checksum; `withChecksum` puts it in. */
export function tcp(spec: TcpSpec): number[] {
  const options = Array.from(spec.options ?? []);
  return [
    ...[...u16(spec.srcPort ?? 40_000), ...u16(spec.dstPort ?? 443), ...u32(spec.seq ?? 0), ...u32(spec.ack ?? 0)],
    ...[(5 + options.length / 4) << 4, spec.flags ?? 0x10, ...u16(spec.window ?? 502), 0, 0, 0, 0],
    ...options,
    ...Array.from(spec.data ?? []),
  ];
}

/** A UDP datagram without a checksum. */
export function udp(srcPort: number, dstPort: number, data: ArrayLike<number> = []): number[] {
  return [...u16(srcPort), ...u16(dstPort), ...u16(8 + data.length), 0, 0, ...Array.from(data)];
}

/** An ICMP or ICMPv6 message without a checksum. */
export function icmp(type: number, code: number, word: number, data: ArrayLike<number> = []): number[] {
  return [type, code, 0, 0, ...u32(word), ...Array.from(data)];
}

/** The same packet with the transport checksum at `field` bytes behind the IP header (of `header` bytes) filled in. */
export function withChecksum(packet: Uint8Array, header: number, protocol: number, field: number): Uint8Array {
  const result = packet.slice();
  result.set([0, 0], header + field);
  const segment = result.subarray(header);
  const addresses = packet[0]! >> 4 === 4 ? result.subarray(12, 20) : result.subarray(8, 40);
  const pseudo = protocol === 1 ? [] : [...addresses, ...u32(segment.length), ...u32(protocol)];
  result.set(u16(naiveChecksum([...pseudo, ...segment])), header + field);
  return result;
}

/** An IPv6 extension header of the common form (RFC 8200 section 4.2), `length` bytes long, a multiple of 8. */
export function extension(next: number, length = 8): number[] {
  return [next, length / 8 - 1, 1, length - 4, ...Array.from({ length: length - 4 }, () => 0)];
}

/** An IPv6 fragment header; `offset` in bytes. */
export function fragmentHeader(next: number, offset: number, more: boolean, id: number): number[] {
  return [next, 0, ...u16(offset | (more ? 1 : 0)), ...u32(id)];
}

export function u16(value: number): number[] {
  return [value >>> 8, value & 255];
}

export function u32(value: number): number[] {
  return [...u16(value >>> 16), ...u16(value & 0xffff)];
}

/** The words of an address literal. */
export function words(text: string): AddressWords {
  return parseAddress(text).words;
}

function addressBytes(text: string): number[] {
  const { version, words: all } = parseAddress(text);
  return version === 4 ? u32(all[3]) : all.flatMap(u32);
}
