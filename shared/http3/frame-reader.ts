/**
 * Frames of one receiving stream (RFC 9114 section 7.1): the header is read here with a few bytes of what follows it,
 * and the rest of the payload stays in QUIC's queue until the caller says where it shall go. A frame is so two reads,
 * and each call into the addon costs a packet on a quiet tunnel microseconds.
 */
import { READ_END, type QuicStream } from "../native/quic.ts";
import { VarintReader, varintSizeFrom } from "../wire/varint.ts";
import { FRAMES_PER_TURN, SKIP_BUDGET_BYTES } from "./constants.ts";
import { connectionFault } from "./fault.ts";
import { FRAME, HTTP2_FRAME_TYPES } from "./spec.ts";

/** A step is complete: the result of `next`, `collect` and `skip` beside 0, READ_END and READ_RESET. */
export const READY = 1;
/** Enough was read for one event: call again in the next turn; no handler will. */
export const READ_YIELD = -3;

/** The shortest header: one byte of type, one of length. */
const MIN_HEADER_BYTES = 2;
/** Two varints of 8 bytes; what is read ahead at most. */
const MAX_HEADER_BYTES = 16;

/** What is skipped goes here; nobody reads it. */
const scratch = new Uint8Array(16 * 1024);

const varint = new VarintReader();

export class FrameReader {
  /** Type of the frame, valid after `next` returned READY. */
  type = -1;
  /** Bytes of its payload that were not read yet. */
  remaining = 0;

  readonly #stream: QuicStream;
  /** Read and not handed on: `#ahead[#from, #to)`. */
  readonly #ahead = new Uint8Array(MAX_HEADER_BYTES);
  #from = 0;
  #to = 0;
  #framesThisTurn = 0;

  constructor(stream: QuicStream) {
    this.#stream = stream;
  }

  /**
   * Reads the next frame header; the payload before must have been read whole. READY, 0, READ_END (between
   * two frames), READ_RESET or READ_YIELD. Throws H3_FRAME_ERROR when the stream ends inside a header.
   */
  next(): number {
    if (this.#framesThisTurn === FRAMES_PER_TURN) {
      this.#framesThisTurn = 0;
      return READ_YIELD;
    }
    while (this.#to - this.#from < headerBytes(this.#ahead, this.#from, this.#to)) {
      this.#makeRoom();
      const got = this.#stream.read(this.#ahead, this.#to, MAX_HEADER_BYTES);
      if (got <= 0) {
        if (got === READ_END && this.#to > 0) throw truncated("a frame header");
        this.#framesThisTurn = 0;
        return got;
      }
      this.#to += got;
    }
    this.#framesThisTurn++;
    varint.read(this.#ahead, this.#from, MAX_HEADER_BYTES);
    this.type = varint.value;
    varint.read(this.#ahead, varint.next, MAX_HEADER_BYTES);
    this.remaining = varint.value;
    this.#from = varint.next;
    return READY;
  }

  /** Reads payload into `slab[from, to)`: the bytes read, 0 or READ_RESET. Throws H3_FRAME_ERROR at an end. */
  readPayload(slab: Uint8Array, from: number, to: number): number {
    const end = Math.min(to, from + this.remaining);
    const ahead = Math.min(this.#to - this.#from, end - from);
    for (let i = 0; i < ahead; i++) slab[from + i] = this.#ahead[this.#from + i]!;
    this.#from += ahead;
    this.remaining -= ahead;
    if (from + ahead === end) return ahead;
    const got = this.#stream.read(slab, from + ahead, end);
    if (got > 0) {
      this.remaining -= got;
      return ahead + got;
    }
    // What was read ahead first; a stream tells its end again.
    if (ahead > 0) return ahead;
    if (got === READ_END) throw truncated(frameName(this.type));
    return got;
  }

  /** Moves what was read ahead to the front: less than a header, so that the rest of it fits. */
  #makeRoom(): void {
    if (this.#from < this.#to) this.#ahead.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
  }

  /** Discards the rest of the payload: READY, 0, READ_RESET or READ_YIELD. */
  skip(): number {
    for (let budget = SKIP_BUDGET_BYTES; this.remaining > 0;) {
      if (budget <= 0) return READ_YIELD;
      const got = this.readPayload(scratch, 0, scratch.length);
      if (got <= 0) return got;
      budget -= got;
    }
    return READY;
  }
}

/** How many bytes the header in `bytes[from, to)` has, as far as these tell. */
function headerBytes(bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return MIN_HEADER_BYTES;
  const lengthAt = from + varintSizeFrom(bytes[from]!);
  return to > lengthAt ? lengthAt - from + varintSizeFrom(bytes[lengthAt]!) : lengthAt - from + 1;
}

function truncated(what: string): Error {
  return connectionFault("H3_FRAME_ERROR", `the stream ended inside ${what}`);
}

const FRAME_NAMES = new Map<number, string>(Object.entries(FRAME).map(([name, type]) => [type, name]));

/** For messages: `a SETTINGS frame`. */
export function frameName(type: number): string {
  const name = FRAME_NAMES.get(type);
  return name === undefined ? `a frame of type 0x${type.toString(16)}` : `a ${name} frame`;
}

/** True when RFC 9114 defines the type, or reserves it because of HTTP/2: it is not to be skipped. */
export function isDefinedFrame(type: number): boolean {
  return FRAME_NAMES.has(type) || HTTP2_FRAME_TYPES.has(type);
}
