/**
 * Slabs: fixed buffers that are used again and again, because a new one of this size costs more than
 * copying its contents.
 */
import { SLAB_BYTES, SLAB_HEADROOM, SLAB_POOL_KEEP } from "./constants.ts";

/** A zeroed slab: `SLAB_HEADROOM` bytes for the header that goes before its frames, and `SLAB_BYTES` of frames. */
export function newSlab(): Uint8Array {
  return new Uint8Array(SLAB_HEADROOM + SLAB_BYTES);
}

/** Slabs for bursts that need more than one at a time. Bounded in both directions. */
export class SlabPool {
  readonly #free: Uint8Array[] = [];
  readonly #limit: number;
  #lent = 0;

  /** `limit`: how many slabs may be lent at the same time. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Slabs that are out. */
  get lent(): number {
    return this.#lent;
  }

  /** Lends a slab, with what its last user left in it; `undefined` when all are out. */
  take(): Uint8Array | undefined {
    if (this.#lent === this.#limit) return undefined;
    this.#lent++;
    return this.#free.pop() ?? newSlab();
  }

  /** Takes back a slab of `take`; its user must not touch it any more. */
  give(slab: Uint8Array): void {
    this.#lent--;
    if (this.#free.length < SLAB_POOL_KEEP) this.#free.push(slab);
  }
}
