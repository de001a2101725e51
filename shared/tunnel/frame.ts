/**
 * Frames `[u16 big-endian length][packet]` in a slab, walked in place (DESIGN section 3).
 *
 * A lane is a byte stream, so what was read ends in the middle of a frame more often than not. One slab
 * serves the lanes in turn:
 *
 *   load ▸ the part of a frame that was kept goes to the front of the slab
 *   (the caller reads from the stream behind it)
 *   scan ▸ next, next, … ▸ each whole frame's place in the slab, at most as many as are wanted
 *   keep ▸ what was not taken, usually the part of a frame, is kept for the next `load`
 *
 * Nothing is allocated a frame. A read that ends inside a frame may allocate the kept part's buffer, which is
 * no longer than what was read and is dropped when there is no part to keep.
 */
import { copyBytes } from "../packet/bytes.ts";
import { VNET_HEADER } from "../packet/vnet-header.ts";
import { FRAME_HEADER, MAX_FRAME_LENGTH } from "./constants.ts";

export class FrameReader {
  /** The packet of the current frame is `slab[from, to)`; valid after `next` returned true. */
  from = 0;
  to = 0;
  /**
   * Why there will be no further frame: `next` met one that cannot be, or whoever takes the frames found one
   * that contradicts itself. The peer broke the framing; its session ends with H3_MESSAGE_ERROR.
   */
  fault: string | undefined;
  /** Whole frames since `load`. */
  count = 0;
  /** Packets that super-packets were cut into since `load`, as whoever takes the frames says. */
  cutPackets = 0;

  readonly #maxLength: number;
  #slab: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;
  #kept: Uint8Array = EMPTY;
  #keptLength = 0;
  #limit = 0;

  /** `maxLength`: the longest agreed frame without its length field, in bytes. */
  constructor(maxLength: number) {
    if (!Number.isInteger(maxLength) || maxLength < 1 || maxLength > MAX_FRAME_LENGTH) {
      throw new RangeError(`the longest frame is ${maxLength} bytes: expected 1 to ${MAX_FRAME_LENGTH}`);
    }
    this.#maxLength = maxLength;
  }

  /** What is kept begins with a whole frame: it is `load` and `scan` that are due, and no read. */
  get holdsFrame(): boolean {
    return this.#keptLength >= FRAME_HEADER && this.#keptLength >= frameEnd(this.#kept, 0);
  }

  /** Bytes of a frame whose rest has not come. Not 0 at the end of a stream: the peer cut a frame off. */
  get pending(): number {
    return this.#keptLength;
  }

  /**
   * Puts the kept part of a frame at `slab[at…]` and returns where the stream's next bytes belong. The slab
   * has room for a frame of the greatest length behind `at`.
   */
  load(slab: Uint8Array, at: number): number {
    this.#slab = slab;
    this.#at = at;
    this.#end = at;
    this.count = 0;
    this.cutPackets = 0;
    if (this.#keptLength > 0) copyBytes(this.#kept, 0, this.#keptLength, slab, at);
    return at + this.#keptLength;
  }

  /** The slab holds the stream's bytes up to `end`, from where `load` put the first one. `limit`: of frames, until the next `load`. */
  scan(end: number, limit = Infinity): void {
    this.#end = end;
    this.#limit = limit;
    this.#keptLength = 0;
  }

  /** Goes on to the next whole frame. False: there is none, or `fault` says why there never will be. */
  next(): boolean {
    const body = this.#at + FRAME_HEADER;
    if (body > this.#end || this.count === this.#limit || this.fault !== undefined) return false;
    const length = (this.#slab[this.#at]! << 8) | this.#slab[this.#at + 1]!;
    if (length === 0 || length > this.#maxLength) {
      this.fault = length === 0 ? "empty frame" : "frame too long";
      return false;
    }
    if (body + length > this.#end) return false;
    this.from = body;
    this.to = body + length;
    this.#at = body + length;
    this.count++;
    return true;
  }

  /** Goes past all whole frames, as far as the limit lets it, and returns where the last one ends: they can be passed on as one run. */
  skip(): number {
    while (this.next());
    return this.#at;
  }

  /**
   * Keeps what is behind the frame that `next` gave last, or nothing after a fault. The slab is the caller's
   * again.
   */
  keep(): void {
    const rest = this.fault === undefined ? this.#end - this.#at : 0;
    if (rest === 0) {
      if (this.#kept.length > spareKept.length) spareKept = this.#kept;
      this.#kept = EMPTY;
    } else {
      if (this.#kept.length < rest) this.#kept = takeKept(rest, FRAME_HEADER + this.#maxLength);
      copyBytes(this.#slab, this.#at, this.#end, this.#kept, 0);
    }
    this.#keptLength = rest;
    this.#slab = EMPTY;
    this.#end = this.#at;
  }
}

/** Bytes of a frame in front of its packet: its length, and with offload (`vnet`) a `virtio_net_hdr`. */
export function packetOffset(vnet: boolean): number {
  return vnet ? FRAME_HEADER + VNET_HEADER : FRAME_HEADER;
}

/** Where the frame ends whose length stands at `slab[at]`. */
export function frameEnd(slab: Uint8Array, at: number): number {
  return at + FRAME_HEADER + ((slab[at]! << 8) | slab[at + 1]!);
}

/** Whole frames in `slab[from, to)`, a range that is known to hold whole frames. */
export function countFrames(slab: Uint8Array, from: number, to: number): number {
  let frames = 0;
  for (let at = from; at < to; frames++) at = frameEnd(slab, at);
  return frames;
}

/** Writes a frame's length at `slab[at]`; its packet, of `length` bytes, stands behind it. */
export function putFrameLength(slab: Uint8Array, at: number, length: number): void {
  slab[at] = length >>> 8;
  slab[at + 1] = length;
}

const EMPTY = new Uint8Array(0);

/** How many times as large as needed a used buffer may be. */
const KEPT_ROOM = 8;

/**
 * The largest of the buffers that readers have let go of. Under load each read ends within a frame, and a new buffer for
 * each would bring V8 nearer to a collection of everything.
 */
let spareKept: Uint8Array = EMPTY;

/** A buffer of at least so many bytes, and not so large that a small part holds on to much. */
function takeKept(bytes: number, limit: number): Uint8Array {
  const size = keptSize(bytes, limit);
  if (spareKept.length < bytes || spareKept.length > KEPT_ROOM * size) return new Uint8Array(size);
  const kept = spareKept;
  spareKept = EMPTY;
  return kept;
}

/** The next power of two, so that a part that grows byte by byte is not copied each time. */
function keptSize(bytes: number, limit: number): number {
  return Math.max(bytes, Math.min(2 ** Math.ceil(Math.log2(bytes)), limit));
}
