/**
 * What a peer without offload gets instead of a frame of a TUN device with offload, and a device instead of a
 * super-packet that its kernel cannot carry: the packets that a network card would make of it, in frames
 * `[u16 length][prefix][packet]`, checksums complete.
 *
 *   no super-packet ▸ copy, complete the checksum where it is left open
 *   super-packet    ▸ for each piece of the payload: headers ▸ lengths, IP id, sequence number, flags ▸ checksums
 */
import { copyBytes, putU16, putU32, u16At, u32At } from "./bytes.ts";
import { checksumOf, completeChecksum, putIpv4Checksum, sumBytes, sumPseudoHeader } from "./checksum.ts";
import { PROTO_TCP, TCP_CWR, TCP_FIN, TCP_PSH } from "./constants.ts";
import { checksumField } from "./offload.ts";
import type { PacketView } from "./view.ts";
import { GSO_NONE, VNET_NEEDS_CSUM } from "./vnet-header.ts";
import type { VNET_HEADER, VnetHeader } from "./vnet-header.ts";

/** Bytes of the length in front of each packet. */
const FRAME_LENGTH = 2;

/**
 * Bytes between the length and the packet in what `segment` writes, all 0: none for a peer or a device without offload,
 * `VNET_HEADER` for one with it. As a `virtio_net_hdr` they say that nothing is left to do.
 */
export type SegmentPrefix = 0 | typeof VNET_HEADER;

/** Bytes that `segment` writes for this packet, frame lengths and prefixes included. */
export function segmentedSize(header: VnetHeader, view: PacketView, prefix: SegmentPrefix = 0): number {
  const headers = header.hdrLen;
  const payload = view.totalLength - headers;
  if (header.gsoType === GSO_NONE || payload <= header.gsoSize) return FRAME_LENGTH + prefix + view.totalLength;
  return Math.ceil(payload / header.gsoSize) * (FRAME_LENGTH + prefix + headers) + payload;
}

/**
 * Writes the frames of the packet in `view`, parsed from `slab`, to `out[at…]`, which has room for
 * `segmentedSize`, and returns where they end. `header` has passed `checkOffload`. `out` is another buffer.
 */
export function segment(
  header: VnetHeader,
  view: PacketView,
  slab: Uint8Array,
  out: Uint8Array,
  at: number,
  prefix: SegmentPrefix = 0,
): number {
  const headers = header.hdrLen;
  const end = view.offset + view.totalLength;
  if (header.gsoType === GSO_NONE || view.totalLength - headers <= header.gsoSize) {
    return copyWhole(header, view, slab, out, at, prefix);
  }
  let first = true;
  let id = view.version === 4 ? u16At(slab, view.offset + 4) : 0;
  for (let piece = view.offset + headers; piece < end; piece += header.gsoSize) {
    const pieceEnd = Math.min(piece + header.gsoSize, end);
    const length = headers + pieceEnd - piece;
    const packet = putFrameStart(out, at, length, prefix);
    copyBytes(slab, view.offset, view.offset + headers, out, packet);
    copyBytes(slab, piece, pieceEnd, out, packet + headers);
    putIpLength(view, out, packet, length, id);
    putTransport(view, out, packet, length, piece - view.offset - headers, first, pieceEnd === end);
    id++;
    first = false;
    at = packet + length;
  }
  return at;
}

/** Returns where the packet stands. */
function putFrameStart(out: Uint8Array, at: number, length: number, prefix: SegmentPrefix): number {
  putU16(out, at, prefix + length);
  const packet = at + FRAME_LENGTH + prefix;
  out.fill(0, at + FRAME_LENGTH, packet);
  return packet;
}

function copyWhole(
  header: VnetHeader,
  view: PacketView,
  slab: Uint8Array,
  out: Uint8Array,
  at: number,
  prefix: SegmentPrefix,
): number {
  const packet = putFrameStart(out, at, view.totalLength, prefix);
  copyBytes(slab, view.offset, view.offset + view.totalLength, out, packet);
  const end = packet + view.totalLength;
  if ((header.flags & VNET_NEEDS_CSUM) !== 0) completeChecksum(out, packet + header.csumStart, header.csumOffset, end);
  return end;
}

/** Length, identification (RFC 6864) and checksum of the IP header at `out[packet…]`. */
function putIpLength(view: PacketView, out: Uint8Array, packet: number, length: number, id: number): void {
  if (view.version === 6) {
    putU16(out, packet + 4, length - 40);
    return;
  }
  putU16(out, packet + 2, length);
  putU16(out, packet + 4, id);
  putIpv4Checksum(out, packet, view.transportOffset - view.offset);
}

/** What differs from segment to segment in the transport header. `offset`: payload bytes before this one. */
function putTransport(
  view: PacketView,
  out: Uint8Array,
  packet: number,
  length: number,
  offset: number,
  first: boolean,
  last: boolean,
): void {
  const transport = packet + view.headerLength;
  const end = packet + length;
  if (view.protocol === PROTO_TCP) {
    putU32(out, transport + 4, u32At(out, transport + 4) + offset);
    let flags = view.tcpFlags;
    if (!first) flags &= ~TCP_CWR;
    if (!last) flags &= ~(TCP_FIN | TCP_PSH);
    out[transport + 13] = flags;
  } else {
    putU16(out, transport + 4, end - transport);
  }
  const field = transport + checksumField(view.protocol);
  putU16(out, field, 0);
  const sum = sumBytes(out, transport, end, sumPseudoHeader(out, packet, view.protocol, end - transport));
  const checksum = checksumOf(sum);
  putU16(out, field, checksum === 0 && view.protocol !== PROTO_TCP ? 0xffff : checksum);
}
