/**
 * The compiled form of all rule lists of a policy: one array of 32-bit numbers, written by `prefix-trie.ts` and
 * `port-steps.ts`, read by `matcher.ts`. One array, because the numbers of one lookup then lie side by side.
 *
 * A reference `r` is either a trie node at `~r` (r < 0) or a record at `r` (r > 0); `NO_RECORD` is none.
 *
 *   trie node   meta  mask  expected  otherwise  slot × 2^stride     bits that must agree, then bits to branch by
 *   record      count  start × count  value × count                  all rules that hold for one prefix
 *   or          -count  record  least  start × count  value × count  some of them, and those of another record
 *
 * The starts cut the keys (`portKey`) into steps, ascending from 0. The value of a step is the decision, or
 * `NO_DECISION`, or `~` the place of candidates: pairs of a decision and the number of its time condition, in
 * order, of which the first in force decides; the last pair has `ALWAYS`.
 */

/** No record: nothing in the rule list has this address. */
export const NO_RECORD = 0;
/** Higher than every decision. */
export const NO_DECISION = 0x7fff_ffff;
/** In place of a time condition's number. */
export const ALWAYS = -1;

export const NODE_MASK = 1;
export const NODE_EXPECTED = 2;
export const NODE_OTHERWISE = 3;
export const NODE_SLOTS = 4;
/** `meta`: two bits of word number, five bits of shift, then the stride. */
export const META_SHIFT = 2;
export const META_STRIDE = 7;

/** Where the starts are in either kind of record. */
export const WHOLE_STARTS = 1;
export const CHAINED_STARTS = 3;
/** The record at which the rules go on. */
export const CHAINED_RECORD = 1;
/** No decision there, or further on, is lower. */
export const CHAINED_LEAST = 2;

/**
 * What a rule says, in one number that sorts by rule: 2 × the rule's number, + 1 when it allows. It is also how
 * the relay's flow tables keep a verdict.
 */
export function decisionOf(rule: number, allows: boolean): number {
  return 2 * rule + (allows ? 1 : 0);
}

/**
 * A protocol and a port or ICMP type in one number; `selector` is -1 for what shows none. All of a protocol's
 * keys lie together, the one without port first.
 */
export function portKey(protocol: number, selector: number): number {
  return (protocol << PROTOCOL_SHIFT) + selector + 1;
}

const PROTOCOL_SHIFT = 17;
/** Behind the last key of the last protocol. */
export const END_OF_KEYS = 256 << PROTOCOL_SHIFT;

/** A growing array of 32-bit numbers. */
export class CodeBuffer {
  #numbers = new Int32Array(1024);
  /** Offset 0 stays unused, so that it can mean `NO_RECORD`. */
  #length = 1;

  /** Makes room for `count` numbers, all 0, and returns where they are. */
  reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#numbers.length) {
      const larger = new Int32Array(Math.max(this.#length, this.#numbers.length * 2));
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    return at;
  }

  set(at: number, number: number): void {
    this.#numbers[at] = number;
  }

  fill(from: number, to: number, number: number): void {
    this.#numbers.fill(number, from, to);
  }

  get(at: number): number {
    return this.#numbers[at] ?? 0;
  }

  /** What was written, in memory that threads share. */
  finish(): Int32Array<SharedArrayBuffer> {
    const code = new Int32Array(new SharedArrayBuffer(4 * this.#length));
    code.set(this.#numbers.subarray(0, this.#length));
    return code;
  }
}
