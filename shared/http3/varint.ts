/** Variable-length integers (RFC 9000 section 16): two bits of length, then 6, 14, 30 or 62 bits of value. */

const TWO_32 = 2 ** 32;

/** The length in bytes of a varint that starts with `first`: 1, 2, 4 or 8. */
export function varintSize(first: number): number {
  return 1 << (first >> 6);
}

/** The shortest length in bytes that holds `value`. */
export function varintLength(value: number): number {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x4000_0000) return 4;
  return 8;
}

/**
 * The varint at `bytes[at]`, which the caller knows to be there whole. Above 2^53 the value is the nearest
 * double: good to compare with a limit, not to tell two such values apart.
 */
export function readVarint(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  switch (first >> 6) {
    case 0:
      return first;
    case 1:
      return ((first & 0x3f) << 8) | bytes[at + 1]!;
    case 2:
      return ((first & 0x3f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    default:
      return word(bytes, at, 0x3f) * TWO_32 + word(bytes, at + 4, 0xff);
  }
}

/** Writes `value` (a safe integer) in its shortest form at `at` and returns the offset behind it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  switch (varintLength(value)) {
    case 1:
      bytes[at] = value;
      return at + 1;
    case 2:
      bytes[at] = 0x40 | (value >> 8);
      bytes[at + 1] = value;
      return at + 2;
    case 4:
      bytes[at] = 0x80 | (value >> 24);
      bytes[at + 1] = value >> 16;
      bytes[at + 2] = value >> 8;
      bytes[at + 3] = value;
      return at + 4;
    default:
      writeWord(bytes, at, Math.floor(value / TWO_32));
      bytes[at]! |= 0xc0;
      writeWord(bytes, at + 4, value % TWO_32);
      return at + 8;
  }
}

function word(bytes: Uint8Array, at: number, firstMask: number): number {
  const first = bytes[at]! & firstMask;
  return ((first << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
