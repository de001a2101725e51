/**
 * Variable-length integers of QUIC (RFC 9000 section 16), which HTTP/3 frames and capsules share.
 *
 * The two high bits of the first byte say how many bytes there are (1, 2, 4 or 8); the rest is the value in
 * network byte order. A longer encoding than needed is legal.
 */

/** The longest encoding, in bytes. */
export const MAX_VARINT_SIZE = 8;

/** The largest value that is encoded here: what a JavaScript number holds exactly (the wire goes to 2^62 - 1). */
export const MAX_VARINT = Number.MAX_SAFE_INTEGER;

const TWO_32 = 2 ** 32;
const MAX_1 = 0x3f;
const MAX_2 = 0x3fff;
const MAX_4 = 0x3fff_ffff;

/** Bytes of the shortest encoding of `value`. Throws a `RangeError` when it is no integer in `[0, MAX_VARINT]`. */
export function varintSize(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(
      `${value} cannot be a QUIC variable-length integer: expected an integer from 0 to ${MAX_VARINT}`,
    );
  }
  if (value <= MAX_1) return 1;
  if (value <= MAX_2) return 2;
  return value <= MAX_4 ? 4 : 8;
}

/**
 * Writes the shortest encoding of `value` at `out[at]` and returns its size in bytes.
 * Throws a `RangeError` when the value cannot be encoded or `out` has no room.
 */
export function encodeVarint(value: number, out: Uint8Array, at: number): number {
  const size = varintSize(value);
  encodeVarintSized(value, size, out, at);
  return size;
}

/**
 * Writes `value` in exactly `size` bytes (1, 2, 4 or 8) at `out[at]`, for a length that is filled in later.
 * Throws a `RangeError` when it does not fit.
 */
export function encodeVarintSized(value: number, size: number, out: Uint8Array, at: number): void {
  if (varintSize(value) > size) throw new RangeError(`${value} does not fit in a varint of ${size} bytes`);
  if (at < 0 || at + size > out.length) {
    throw new RangeError(`a varint of ${size} bytes does not fit at ${at} of ${out.length} bytes`);
  }
  switch (size) {
    case 1:
      out[at] = value;
      return;
    case 2:
      out[at] = 0x40 | (value >>> 8);
      out[at + 1] = value;
      return;
    case 4:
      out[at] = 0x80 | (value >>> 24);
      writeLow3(value, out, at + 1);
      return;
    case 8: {
      const high = Math.floor(value / TWO_32);
      const low = value % TWO_32;
      out[at] = 0xc0 | (high >>> 24);
      writeLow3(high, out, at + 1);
      out[at + 4] = low >>> 24;
      writeLow3(low, out, at + 5);
      return;
    }
    default:
      throw new RangeError(`a varint has 1, 2, 4 or 8 bytes, not ${size}`);
  }
}

/** Bytes of the encoding that starts with `firstByte`. */
export function varintSizeFrom(firstByte: number): 1 | 2 | 4 | 8 {
  switch (firstByte >>> 6) {
    case 0:
      return 1;
    case 1:
      return 2;
    case 2:
      return 4;
    default:
      return 8;
  }
}

/** Reads one integer after the other; reused, so reading allocates nothing. */
export class VarintReader {
  /**
   * The integer, valid after `read` returned true. Above 2^53 it is the nearest number, so it may be
   * compared with any limit or known code, which are all far below.
   */
  value = 0;
  /** The offset behind the integer, valid after `read` returned true. */
  next = 0;

  /** Reads the integer at `bytes[at]`. False: it does not end before `end`, more bytes are needed. */
  read(bytes: Uint8Array, at: number, end: number): boolean {
    if (at >= end) return false;
    const first = bytes[at] ?? 0;
    const size = varintSizeFrom(first);
    if (at + size > end || at + size > bytes.length) return false;
    this.next = at + size;
    let value = first & MAX_1;
    for (let i = at + 1; i < at + size; i++) value = value * 256 + (bytes[i] ?? 0);
    this.value = value;
    return true;
  }
}

function writeLow3(word: number, out: Uint8Array, at: number): void {
  out[at] = word >>> 16;
  out[at + 1] = word >>> 8;
  out[at + 2] = word;
}
