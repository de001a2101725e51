/**
 * Big-endian numbers in a slab, read and written in place. The caller has checked the bounds: a byte
 * outside the slab reads as 0 and a write there is lost.
 */

import { Buffer } from "node:buffer";

/** Node's globals have getters, which a packet would pay for. */
const { copy } = Buffer.prototype;

/** The byte at `at`. */
export function byteAt(slab: Uint8Array, at: number): number {
  return slab[at] ?? 0;
}

/** The unsigned 16-bit number at `at`. */
export function u16At(slab: Uint8Array, at: number): number {
  return (byteAt(slab, at) << 8) | byteAt(slab, at + 1);
}

/** The unsigned 32-bit number at `at`. */
export function u32At(slab: Uint8Array, at: number): number {
  return ((u16At(slab, at) << 16) | u16At(slab, at + 2)) >>> 0;
}

/** Writes the low 16 bits of `value` at `at`. */
export function putU16(slab: Uint8Array, at: number, value: number): void {
  slab[at] = value >>> 8;
  slab[at + 1] = value;
}

/** Writes the low 32 bits of `value` at `at`. */
export function putU32(slab: Uint8Array, at: number, value: number): void {
  putU16(slab, at, value >>> 16);
  putU16(slab, at + 2, value);
}

/**
 * Copies `source[from, to)` to `target[at…]`; the two may be one buffer. `set(subarray(…))` would allocate
 * the subarray, and a loop takes ten times as long.
 */
export function copyBytes(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): void {
  copy.call(source, target, at, from, to);
}

/** The unsigned 16-bit number at `at`, little-endian. */
export function u16LeAt(slab: Uint8Array, at: number): number {
  return byteAt(slab, at) | (byteAt(slab, at + 1) << 8);
}

/** Writes the low 16 bits of `value` at `at`, little-endian. */
export function putU16Le(slab: Uint8Array, at: number, value: number): void {
  slab[at] = value;
  slab[at + 1] = value >>> 8;
}
