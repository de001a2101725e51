/**
 * A slab: a fixed buffer that is used again and again, because a new one of this size costs more than copying its
 * contents.
 */
import { SLAB_BYTES, SLAB_HEADROOM } from "./constants.ts";

/** A zeroed slab: `SLAB_HEADROOM` bytes for the header that goes before its frames, and `SLAB_BYTES` of frames. */
export function newSlab(): Uint8Array {
  return new Uint8Array(SLAB_HEADROOM + SLAB_BYTES);
}
