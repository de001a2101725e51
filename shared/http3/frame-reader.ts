/**
 * Frames of one receiving stream (RFC 9114 section 7.1): the header is read here, byte-exact, so that the
 * payload stays in QUIC's queue until the caller says where it shall go.
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
/** Two varints of 8 bytes. */
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
  readonly #header = new Uint8Array(MAX_HEADER_BYTES);
  #have = 0;
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
    for (let need = headerBytes(this.#header, this.#have); this.#have < need;) {
      const got = this.#stream.read(this.#header, this.#have, need);
      if (got <= 0) {
        if (got === READ_END && this.#have > 0) throw truncated("a frame header");
        this.#framesThisTurn = 0;
        return got;
      }
      this.#have += got;
      need = headerBytes(this.#header, this.#have);
    }
    this.#have = 0;
    this.#framesThisTurn++;
    varint.read(this.#header, 0, MAX_HEADER_BYTES);
    this.type = varint.value;
    varint.read(this.#header, varint.next, MAX_HEADER_BYTES);
    this.remaining = varint.value;
    return READY;
  }

  /** Reads payload into `slab[from, to)`: the bytes read, 0 or READ_RESET. Throws H3_FRAME_ERROR at an end. */
  readPayload(slab: Uint8Array, from: number, to: number): number {
    const got = this.#stream.read(slab, from, Math.min(to, from + this.remaining));
    if (got > 0) this.remaining -= got;
    else if (got === READ_END) throw truncated(frameName(this.type));
    return got;
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

/** How many bytes the header has, as far as `have` of them tell. */
function headerBytes(header: Uint8Array, have: number): number {
  if (have === 0) return MIN_HEADER_BYTES;
  const typeBytes = varintSizeFrom(header[0]!);
  return have > typeBytes ? typeBytes + varintSizeFrom(header[typeBytes]!) : typeBytes + 1;
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
