/**
 * The other direction of `segment`: frames `[u16 length][packet]` of a peer without offload become frames
 * `[u16 length][virtio_net_hdr][packet]` for a TUN device with offload, and neighbours that are contiguous
 * segments of one TCP flow (or datagrams of one UDP flow) become one super-packet.
 *
 *   frame ▸ parse ▸ follows the run: its payload is appended ▸ else the run is closed, and it begins a new one
 *
 * `segment` makes the very same packets of a super-packet again. So a run ends at whatever that would not
 * restore: other header bytes, an IP id that is not the next, a wrong checksum, a short segment, FIN or PSH.
 */
import { byteAt, copyBytes, putU16, u16At, u32At } from "./bytes.ts";
import { isChecksumRight, putIpv4Checksum, sumBytes, sumPseudoHeader } from "./checksum.ts";
import {
  IPV4_HEADER,
  IPV6_HEADER,
  PROTO_TCP,
  PROTO_UDP,
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_PSH,
} from "./constants.ts";
import { checksumField, MAX_UDP_SEGMENTS, MIN_GSO_SIZE } from "./offload.ts";
import { PacketView } from "./view.ts";
import { GSO_ECN, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VNET_HEADER, VNET_NEEDS_CSUM, VnetHeader } from "./vnet-header.ts";

/** Bytes of the length in front of each packet, and its largest value. */
const FRAME_LENGTH = 2;
const MAX_FRAME_LENGTH = 0xffff;

/** What the TUN device takes. */
export interface CoalesceFeatures {
  readonly tso4: boolean;
  readonly tso6: boolean;
  /** UDP super-packets of both families. */
  readonly uso: boolean;
}

export class Coalescer {
  /** Where `run` stopped in its input: `to`, or the frame that found no room in `out`. */
  next = 0;

  readonly #features: CoalesceFeatures;
  readonly #header = new VnetHeader();
  /** The run's first packet, where it stands in `out`. */
  readonly #first = new PacketView();
  readonly #view = new PacketView();
  /** The run: its frame begins at `#start` in `out` and ends at `#end`; no run: both are the same. */
  #start = 0;
  #end = 0;
  #segments = 0;
  /** Payload bytes of each segment; 0 when nothing may follow. */
  #size = 0;
  #nextSeq = 0;

  constructor(features: CoalesceFeatures) {
    this.#features = features;
  }

  /**
   * Turns the whole frames in `slab[from, to)` into frames in `out[at…]` and returns where those end. Stops
   * early when `out` is full; `next` says where. A frame of more than 65,525 bytes, which would not fit its
   * length field with the header, is left out.
   */
  run(slab: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
    this.#start = at;
    this.#end = at;
    this.#size = 0;
    let frame = from;
    while (frame + FRAME_LENGTH <= to) {
      const packet = frame + FRAME_LENGTH;
      const end = packet + u16At(slab, frame);
      if (end > to) break;
      if (VNET_HEADER + end - packet <= MAX_FRAME_LENGTH) {
        const good = this.#view.parse(slab, packet, end);
        if (!(good && this.#append(slab, out))) {
          this.#close(out);
          if (this.#end + FRAME_LENGTH + VNET_HEADER + end - packet > out.length) break;
          this.#begin(slab, packet, end, out, good);
        }
      }
      frame = end;
    }
    this.#close(out);
    this.next = frame;
    return this.#end;
  }

  /** The packet `slab[from, to)` goes to `out` and may be the first of a run. */
  #begin(slab: Uint8Array, from: number, to: number, out: Uint8Array, good: boolean): void {
    const packet = this.#end + FRAME_LENGTH + VNET_HEADER;
    copyBytes(slab, from, to, out, packet);
    this.#start = this.#end;
    this.#end = packet + to - from;
    this.#segments = 1;
    this.#size = good ? this.#sizeOf(slab) : 0;
    if (this.#size === 0) return;
    this.#first.parse(out, packet, this.#end);
    if (this.#first.protocol === PROTO_TCP)
      this.#nextSeq = (u32At(out, this.#first.transportOffset + 4) + this.#size) >>> 0;
  }

  /** The payload bytes of the packet in `#view` if it can be the first of a run, else 0. */
  #sizeOf(slab: Uint8Array): number {
    const view = this.#view;
    const payload = payloadOf(view);
    if (payload < MIN_GSO_SIZE || !this.#isKind(view) || endsRun(view)) return 0;
    return isIntact(view, slab) ? payload : 0;
  }

  #isKind(view: PacketView): boolean {
    if (view.isFragment || view.headerLength !== (view.version === 4 ? IPV4_HEADER : IPV6_HEADER)) return false;
    if (view.protocol === PROTO_UDP) return this.#features.uso;
    return view.protocol === PROTO_TCP && (view.version === 4 ? this.#features.tso4 : this.#features.tso6);
  }

  /** Appends the packet in `#view` to the run; false when it does not follow or finds no room. */
  #append(slab: Uint8Array, out: Uint8Array): boolean {
    const view = this.#view;
    const payload = payloadOf(view);
    if (this.#size === 0 || payload === 0 || payload > this.#size) return false;
    if (this.#end + payload > out.length || this.#end + payload - this.#start - FRAME_LENGTH > MAX_FRAME_LENGTH)
      return false;
    if (view.protocol === PROTO_UDP && this.#segments === MAX_UDP_SEGMENTS) return false;
    if (!this.#isNext(slab, out) || !isIntact(view, slab)) return false;
    copyBytes(slab, view.offset + view.totalLength - payload, view.offset + view.totalLength, out, this.#end);
    this.#end += payload;
    this.#segments++;
    this.#nextSeq = (this.#nextSeq + payload) >>> 0;
    if (view.protocol === PROTO_TCP) out[this.#first.transportOffset + 13] = this.#first.tcpFlags | view.tcpFlags;
    if (payload < this.#size || endsRun(view)) this.#size = 0;
    return true;
  }

  /** All headers are those of the first packet, but for what `segment` sets in each. */
  #isNext(slab: Uint8Array, out: Uint8Array): boolean {
    const a = this.#first;
    const b = this.#view;
    if (a.version !== b.version || a.protocol !== b.protocol || a.transportHeaderLength !== b.transportHeaderLength)
      return false;
    if (b.isFragment || a.headerLength !== b.headerLength) return false;
    return (
      this.#isIpNext(slab, out) &&
      (b.protocol === PROTO_TCP ? this.#isTcpNext(slab, out) : b.srcPort === a.srcPort && b.dstPort === a.dstPort)
    );
  }

  #isIpNext(slab: Uint8Array, out: Uint8Array): boolean {
    const { offset: a, version } = this.#first;
    const b = this.#view.offset;
    if (version === 6) {
      // Version, class, flow label; next header, hop limit, addresses.
      return u32At(out, a) === u32At(slab, b) && areEqual(out, a + 6, slab, b + 6, IPV6_HEADER - 6);
    }
    const id = (u16At(out, a + 4) + this.#segments) & 0xffff;
    return (
      u16At(out, a) === u16At(slab, b) &&
      u16At(slab, b + 4) === id &&
      u32At(out, a + 6) === u32At(slab, b + 6) &&
      areEqual(out, a + 12, slab, b + 12, IPV4_HEADER - 12)
    );
  }

  #isTcpNext(slab: Uint8Array, out: Uint8Array): boolean {
    const a = this.#first.transportOffset;
    const b = this.#view.transportOffset;
    const { tcpFlags: first } = this.#first;
    const { tcpFlags: flags, transportHeaderLength } = this.#view;
    return (
      u32At(out, a) === u32At(slab, b) &&
      u32At(slab, b + 4) === this.#nextSeq &&
      u32At(out, a + 8) === u32At(slab, b + 8) &&
      byteAt(out, a + 12) === byteAt(slab, b + 12) &&
      (flags & ~(TCP_FIN | TCP_PSH)) === (first & ~TCP_CWR) &&
      u16At(out, a + 14) === u16At(slab, b + 14) &&
      areEqual(out, a + 18, slab, b + 18, transportHeaderLength - 18)
    );
  }

  /** Writes the frame length, the `virtio_net_hdr` and, of several segments, the headers of the super-packet. */
  #close(out: Uint8Array): void {
    if (this.#end === this.#start) return;
    const header = this.#header;
    header.clear();
    if (this.#segments > 1) this.#closeRun(out);
    putU16(out, this.#start, this.#end - this.#start - FRAME_LENGTH);
    header.write(out, this.#start + FRAME_LENGTH);
    this.#start = this.#end;
    this.#size = 0;
  }

  #closeRun(out: Uint8Array): void {
    const first = this.#first;
    const { offset, transportOffset, protocol, version } = first;
    const length = this.#end - transportOffset;
    const header = this.#header;
    header.flags = VNET_NEEDS_CSUM;
    header.gsoType = gsoTypeOf(first);
    header.hdrLen = first.headerLength + first.transportHeaderLength;
    header.gsoSize = payloadOf(first);
    header.csumStart = first.headerLength;
    header.csumOffset = checksumField(protocol);
    if (version === 4) {
      putU16(out, offset + 2, this.#end - offset);
      putIpv4Checksum(out, offset, IPV4_HEADER);
    } else {
      putU16(out, offset + 4, length);
    }
    if (protocol === PROTO_UDP) putU16(out, transportOffset + 4, length);
    putU16(out, transportOffset + header.csumOffset, sumPseudoHeader(out, offset, protocol, length));
  }
}

function payloadOf(view: PacketView): number {
  return view.totalLength - view.headerLength - view.transportHeaderLength;
}

/** TCP that may be in a run at all has ACK, and ECE or CWR if it likes. FIN and PSH are for the last one. */
function endsRun(view: PacketView): boolean {
  return view.protocol === PROTO_TCP && (view.tcpFlags & ~(TCP_CWR | TCP_ECE)) !== TCP_ACK;
}

/** Checksums and the UDP length are right, and as `segment` would write them. */
function isIntact(view: PacketView, slab: Uint8Array): boolean {
  const { offset, transportOffset, protocol } = view;
  const end = offset + view.totalLength;
  if (
    view.version === 4 &&
    (u16At(slab, offset + 10) === 0xffff || sumBytes(slab, offset, transportOffset, 0) !== 0xffff)
  )
    return false;
  const field = u16At(slab, transportOffset + checksumField(protocol));
  if (protocol === PROTO_UDP) {
    if (field === 0 || u16At(slab, transportOffset + 4) !== end - transportOffset) return false;
  } else if (field === 0xffff) {
    return false;
  }
  return isChecksumRight(slab, offset, protocol, transportOffset, end);
}

function gsoTypeOf(first: PacketView): number {
  if (first.protocol === PROTO_UDP) return GSO_UDP_L4;
  const ecn = (first.tcpFlags & TCP_CWR) !== 0 ? GSO_ECN : 0;
  return (first.version === 4 ? GSO_TCPV4 : GSO_TCPV6) | ecn;
}

function areEqual(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}
