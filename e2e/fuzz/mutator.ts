/**
 * Inputs that become others: bits and bytes set, numbers that are often limits written over, pieces taken out, doubled,
 * moved in from another input, words of the language put in, the end cut off.
 */

/** Numbers at the edges of bytes, of varints of 1, 2 and 4 bytes (RFC 9000 section 16), of signed and unsigned words. */
const EDGES = [
  ...[0, 1, 0x0f, 0x10, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff, 0x100],
  ...[0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff, 0x10000, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff],
];

/** Changes of one input are 1, 2, 4 or 8. */
const MAX_CHANGES_LOG2 = 3;

/** Bytes of a piece that is taken out, doubled or moved in. */
const MAX_PIECE = 32;

/** Random numbers that a seed repeats (a 32-bit linear congruence, its upper bits mixed down). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 0x0019_660d) + 0x3c6e_f35f) >>> 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 16), 0x045d_9f3b) >>> 0;
    return Math.floor(((mixed ^ (mixed >>> 15)) >>> 0) * 2 ** -32 * limit);
  }

  of<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("nothing to choose from");
    return item;
  }
}

export class Mutator {
  readonly #random: Random;
  readonly #tokens: readonly Uint8Array[];
  /** Longest result, bytes. */
  readonly #maxLength: number;

  constructor(random: Random, tokens: readonly string[], maxLength: number) {
    this.#random = random;
    this.#tokens = tokens.map((token) => Buffer.from(token));
    this.#maxLength = maxLength;
  }

  /** `input` with some changes; `other` is what pieces are moved in from. Both stay as they are. */
  change(input: Uint8Array, other: Uint8Array): Uint8Array {
    let result = Uint8Array.from(input);
    for (let count = 2 ** this.#random.below(MAX_CHANGES_LOG2 + 1); count > 0; count--) {
      result = this.#changeOnce(result, other).slice(0, this.#maxLength);
    }
    return result;
  }

  #changeOnce(input: Uint8Array<ArrayBuffer>, other: Uint8Array): Uint8Array<ArrayBuffer> {
    const random = this.#random;
    const at = random.below(input.length + 1);
    const length = 1 + random.below(MAX_PIECE);
    switch (random.below(this.#tokens.length > 0 ? 10 : 8)) {
      case 0:
        return overwritten(input, at, [(input[at] ?? 0) ^ (1 << random.below(8))]);
      case 1:
        return overwritten(input, at, [random.below(256)]);
      case 2:
        return overwritten(input, at, [(input[at] ?? 0) + random.of([-2, -1, 1, 2])]);
      case 3:
        return overwritten(input, at, this.#number(input));
      case 4:
        return spliced(input, at, at + length, []);
      case 5:
        return spliced(input, at, at, input.subarray(at, at + length));
      case 6: {
        const from = random.below(other.length + 1);
        return spliced(input, at, at + random.below(2) * length, other.subarray(from, from + length));
      }
      case 7:
        return random.below(2) === 0 ? input.slice(0, at) : spliced(input, at, at, this.#number(input));
      case 8:
        return overwritten(input, at, random.of(this.#tokens));
      default:
        return spliced(input, at, at, random.of(this.#tokens));
    }
  }

  /** An edge, or about the input's length, in 1, 2 or 4 bytes, big-endian or little-endian, or as a varint. */
  #number(input: Uint8Array): number[] {
    const random = this.#random;
    const value = random.below(4) === 0 ? input.length + random.below(17) - 8 : random.of(EDGES);
    const size = random.of([1, 2, 4] as const);
    const bytes = Array.from({ length: size }, (_, index) => (value >>> (8 * (size - 1 - index))) & 0xff);
    switch (random.below(3)) {
      case 0:
        return bytes;
      case 1:
        return bytes.toReversed();
      default:
        return [((bytes[0] ?? 0) & 0x3f) | (Math.log2(size) << 6), ...bytes.slice(1)];
    }
  }
}

function overwritten(input: Uint8Array<ArrayBuffer>, at: number, bytes: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  return spliced(input, at, at + bytes.length, bytes);
}

/** `input` with `bytes` instead of what stood in `[from, to)`. */
export function spliced(
  input: Uint8Array,
  from: number,
  to: number,
  bytes: ArrayLike<number>,
): Uint8Array<ArrayBuffer> {
  const tail = input.subarray(Math.min(to, input.length));
  const result = new Uint8Array(from + bytes.length + tail.length);
  result.set(input.subarray(0, from));
  result.set(bytes, from);
  result.set(tail, from + bytes.length);
  return result;
}

/** Pieces that are tried at each size. */
const TRIES_PER_SIZE = 8;

/** Takes pieces out of `input`, large ones first, as long as what is left is `good`. */
export async function shortened(
  input: Uint8Array,
  good: (shorter: Uint8Array) => boolean | Promise<boolean>,
): Promise<Uint8Array> {
  let best = input;
  for (let size = input.length >>> 1; size > 0; size >>>= 1) {
    const step = Math.max(size, Math.ceil(best.length / TRIES_PER_SIZE));
    for (let at = best.length - size; at >= 0; at -= step) {
      const shorter = spliced(best, at, at + size, []);
      if (await good(shorter)) best = shorter;
    }
  }
  return best;
}
