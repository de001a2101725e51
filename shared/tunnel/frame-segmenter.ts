/**
 * Frames of a device with offload as a peer without it takes them: super-packets cut into packets, checksums
 * complete, the `virtio_net_hdr` gone (or, for a device that lacks a kind of offload, empty). They are collected in a
 * slab of their own.
 */
import { segment, segmentedSize } from "../packet/segment.ts";
import type { SegmentPrefix } from "../packet/segment.ts";
import type { PacketView } from "../packet/view.ts";
import { GSO_NONE, VnetHeader } from "../packet/vnet-header.ts";
import { SLAB_HEADROOM } from "./constants.ts";
import { newSlab } from "./slab.ts";

export class FrameSegmenter {
  /** `SLAB_HEADROOM` free bytes, then the frames so far. */
  readonly slab = newSlab();
  /** Where the frames so far end. */
  end = SLAB_HEADROOM;
  readonly #header = new VnetHeader();
  readonly #prefix: SegmentPrefix;

  constructor(prefix: SegmentPrefix = 0) {
    this.#prefix = prefix;
  }

  /**
   * Adds the packet in `view`, parsed from `from`, whose `virtio_net_hdr` stands at `from[at]`. False, and
   * nothing added, when the slab has no room: `clear` makes it, after the frames so far were sent.
   */
  add(view: PacketView, from: Uint8Array, at: number): boolean {
    const header = this.#header;
    header.read(from, at);
    // The kernel's own value is wrong on forwarded packets.
    header.hdrLen = view.headerLength + view.transportHeaderLength;
    if (this.end + segmentedSize(header, view, this.#prefix) > this.slab.length) return false;
    this.end = segment(header, view, from, this.slab, this.end, this.#prefix);
    return true;
  }

  /** The largest packet that `add` would make, in bytes. */
  packetSize(view: PacketView, from: Uint8Array, at: number): number {
    this.#header.read(from, at);
    if (this.#header.gsoType === GSO_NONE) return view.totalLength;
    return Math.min(view.totalLength, view.headerLength + view.transportHeaderLength + this.#header.gsoSize);
  }

  clear(): void {
    this.end = SLAB_HEADROOM;
  }
}
