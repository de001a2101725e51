/**
 * The peer's QPACK encoder and decoder streams (RFC 9204 sections 4.3 and 4.4), where neither side may use a
 * dynamic table: nearly every instruction is an error, so a stream needs no buffer.
 */
import { connectionFault } from "./fault.ts";

/** Set Dynamic Table Capacity, 5-bit prefix, to 0: the one instruction that our capacity of 0 permits. */
const SET_CAPACITY_ZERO = 0x20;

/** Reads instructions of the peer's encoder. Throws QPACK_ENCODER_STREAM_ERROR. */
export function checkEncoderInstructions(bytes: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to; at++) {
    if (bytes[at] === SET_CAPACITY_ZERO) continue;
    throw connectionFault(
      "QPACK_ENCODER_STREAM_ERROR",
      `instruction 0x${bytes[at]!.toString(16)} needs a dynamic table, and its capacity is 0`,
    );
  }
}

/** A stream id of 62 bits: the prefix and 9 bytes of 7 bits. */
const MAX_CONTINUATION_BYTES = 9;

/** Reads instructions of the peer's decoder, in whatever pieces they come. */
export class DecoderInstructions {
  /** Bytes of a Stream Cancellation's id that were read beyond its prefix; -1: between two instructions. */
  #continuation = -1;

  /** Throws QPACK_DECODER_STREAM_ERROR. */
  check(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (this.#continuation >= 0) this.#continueId(byte);
      // 01xxxxxx: Stream Cancellation (4.4.2), which is harmless.
      else if ((byte & 0xc0) === 0x40) this.#continuation = (byte & 0x3f) === 0x3f ? 0 : -1;
      else throw wrong("acknowledges dynamic table entries, and none was sent");
    }
  }

  #continueId(byte: number): void {
    if ((byte & 0x80) === 0) this.#continuation = -1;
    else if (++this.#continuation === MAX_CONTINUATION_BYTES) throw wrong("has a stream id of more than 62 bits");
  }
}

function wrong(what: string): Error {
  return connectionFault("QPACK_DECODER_STREAM_ERROR", `the peer's QPACK decoder ${what}`);
}
