/**
 * The carrier of a plain RFC 9484 session: each packet is an HTTP Datagram with context id 0, in a QUIC
 * DATAGRAM frame when the client takes them, else in a DATAGRAM capsule on the control stream (RFC 9297
 * section 3.5).
 */
import type { Http3Stream } from "../shared/http3/stream.ts";
import type { PacketView } from "../shared/packet/view.ts";
import { CAPSULE_DATAGRAM, CONTEXT_IP_PACKET, FRAME_HEADER, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import { encodeCapsule } from "../shared/tunnel/capsule.ts";
import { MAX_IP_PACKET } from "../shared/packet/constants.ts";
import type { Carrier } from "./carrier.ts";

/** Bytes of context id 0 as a varint. */
const CONTEXT_SIZE = 1;

/** One buffer for all sessions: it is used within one synchronous call. */
const buffer = new Uint8Array(SLAB_HEADROOM + CONTEXT_SIZE + MAX_IP_PACKET);

export class DatagramCarrier implements Carrier {
  readonly #control: Http3Stream;
  /** Sends a capsule; false when the control stream's queue is full. */
  sendCapsule: ((capsule: Uint8Array) => boolean) | undefined;
  #dropped = 0;

  constructor(control: Http3Stream) {
    this.#control = control;
  }

  /** The largest packet that goes into one QUIC datagram, bytes; 0 when there are none and capsules carry all. */
  get mtu(): number {
    return Math.max(0, this.#control.maxDatagramSize - CONTEXT_SIZE);
  }

  add(view: PacketView, slab: Uint8Array, from: number, to: number): void {
    if (!this.sendNow(view, slab, from, to)) this.#dropped++;
  }

  sendNow(_view: PacketView, slab: Uint8Array, from: number, to: number): boolean {
    const packet = slab.subarray(from + FRAME_HEADER, to);
    buffer[SLAB_HEADROOM] = CONTEXT_IP_PACKET;
    buffer.set(packet, SLAB_HEADROOM + CONTEXT_SIZE);
    const end = SLAB_HEADROOM + CONTEXT_SIZE + packet.length;
    return this.mtu > 0
      ? this.#control.sendDatagram(buffer, SLAB_HEADROOM, end)
      : this.sendCapsule?.(encodeCapsule(CAPSULE_DATAGRAM, buffer.subarray(SLAB_HEADROOM, end))) === true;
  }

  flush(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }
}
