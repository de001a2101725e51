/**
 * Frames of a session into the TUN device, in the format that the device takes:
 *
 *   formats are the same              ▸ written as they are
 *   plain frames, device with offload ▸ headers added, neighbours coalesced, written
 *   a super-packet of a kind that the device lacks, or that the kernel refuses ▸ cut into packets, written
 *
 * A refusal costs the super-packet that was refused and no other, whoever sent it: the next one is offered to the kernel
 * again. To ask it no more would spare 3 % of what cutting costs (docs/performance.md), and let one client take the
 * offload from all others with a packet that only he makes.
 */
import type { Tun, TunFeatures } from "../native/tun.ts";
import { Coalescer } from "../packet/coalesce.ts";
import { PacketView } from "../packet/view.ts";
import { GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, VNET_HEADER } from "../packet/vnet-header.ts";
import { FRAME_HEADER, SLAB_HEADROOM } from "./constants.ts";
import { countFrames, frameEnd } from "./frame.ts";
import { FrameSegmenter } from "./frame-segmenter.ts";
import { newSlab } from "./slab.ts";

/** Super-packets that were cut before they were written. */
export interface CutStats {
  /** Of a kind that the device lacks. */
  readonly lacking: number;
  /** Refused by the kernel. */
  readonly refused: number;
}

export class DeviceWriter {
  readonly #tun: Tun;
  readonly #features: TunFeatures;
  readonly #takesAll: boolean;
  readonly #coalescer: Coalescer;
  readonly #out: Uint8Array | undefined;
  /** Made when it is needed: most devices never lack or refuse anything. */
  #cutter: { readonly view: PacketView; readonly segmenter: FrameSegmenter } | undefined;
  #lacking = 0;
  #refused = 0;
  #cutPackets = 0;
  readonly #onFirstRefusal: () => void;

  constructor(tun: Tun, onFirstRefusal: () => void) {
    this.#tun = tun;
    this.#onFirstRefusal = onFirstRefusal;
    this.#features = tun.features;
    const { vnetHeader, tso4, tso6, uso4, uso6 } = tun.features;
    this.#takesAll = tso4 && tso6 && uso4 && uso6;
    this.#coalescer = new Coalescer({ tso4, tso6, uso: uso4 && uso6 });
    this.#out = vnetHeader ? newSlab() : undefined;
  }

  get cut(): CutStats {
    return { lacking: this.#lacking, refused: this.#refused };
  }

  /**
   * Writes the whole frames `slab[from, to)`. `vnet`: they have a `virtio_net_hdr`, as those of the device. `queue`: as
   * in `Tun.write`. Returns the packets that super-packets were cut into.
   */
  write(slab: Uint8Array, from: number, to: number, vnet: boolean, queue = 0): number {
    const out = this.#out;
    this.#cutPackets = 0;
    if (out === undefined) {
      this.#tun.write(slab, from, to, queue);
    } else if (vnet) {
      if (this.#takesAll) this.#writeTaken(slab, from, to, queue);
      else this.#writeMixed(slab, from, to, queue);
    } else {
      for (let at = from; at < to; at = this.#coalescer.next) {
        const end = this.#coalescer.run(slab, at, to, out, SLAB_HEADROOM);
        this.#writeTaken(out, SLAB_HEADROOM, end, queue);
      }
    }
    return this.#cutPackets;
  }

  /** Frames of kinds that the device has. */
  #writeTaken(slab: Uint8Array, from: number, to: number, queue: number): void {
    for (let at = from; at < to;) {
      at = this.#tun.write(slab, at, to, queue);
      if (at === to) return;
      if (this.#refused++ === 0) this.#onFirstRefusal();
      at = this.#writeCut(slab, at, queue);
    }
  }

  #writeMixed(slab: Uint8Array, from: number, to: number, queue: number): void {
    let runFrom = from;
    for (let at = from; at < to;) {
      const next = frameEnd(slab, at);
      if (!this.#takes(slab[at + FRAME_HEADER + GSO_TYPE]!)) {
        if (at > runFrom) this.#writeTaken(slab, runFrom, at, queue);
        this.#lacking++;
        runFrom = this.#writeCut(slab, at, queue);
      }
      at = next;
    }
    if (to > runFrom) this.#writeTaken(slab, runFrom, to, queue);
  }

  #takes(gsoType: number): boolean {
    const { tso4, tso6, uso4, uso6 } = this.#features;
    switch (gsoType & ~GSO_ECN) {
      case GSO_NONE:
        return true;
      case GSO_TCPV4:
        return tso4;
      case GSO_TCPV6:
        return tso6;
      default:
        return uso4 && uso6;
    }
  }

  /** Writes the packets of the frame at `slab[at]`, and returns where it ends. */
  #writeCut(slab: Uint8Array, at: number, queue: number): number {
    const { view, segmenter } = (this.#cutter ??= {
      view: new PacketView(),
      segmenter: new FrameSegmenter(VNET_HEADER),
    });
    const header = at + FRAME_HEADER;
    const end = frameEnd(slab, at);
    if (view.parse(slab, header + VNET_HEADER, end)) {
      segmenter.clear();
      segmenter.add(view, slab, header);
      this.#cutPackets += countFrames(segmenter.slab, SLAB_HEADROOM, segmenter.end);
      this.#tun.write(segmenter.slab, SLAB_HEADROOM, segmenter.end, queue);
    }
    return end;
  }
}

/** Where `virtio_net_hdr` has the kind of super-packet. */
const GSO_TYPE = 1;
