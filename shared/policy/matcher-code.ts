/**
 * The compiled form of all rule lists of a policy: one array of 32-bit numbers, written by `prefix-trie.ts` and
 * `port-table.ts`, read by `matcher.ts`. One array, because the numbers of one lookup then lie side by side and
 * because it moves between threads without a copy.
 *
 * A reference `r` is either a trie node at `~r` (r < 0) or a prefix record at `r` (r > 0); `NO_RECORD` is none.
 *
 *   trie node      meta  mask  expected  otherwise  slot × 2^stride     bits that must agree, then bits to branch by
 *   prefix record  parent  above  count  entry × count                  the rules of one prefix, in order
 *   entry          head  range  rule  time                              one rule with one of its port selectors
 *   or, many       parent  above  PORT_TABLE  others  count  (protocol  unseen  steps  table) × count
 *   table          start × steps  candidates × steps                    ports or ICMP types from `start` on
 *   candidates     (rule  time)…  the last has ALWAYS, or is NO_RULE    in order; the first in force decides
 */

/** No prefix record: nothing in the rule list has this address. */
export const NO_RECORD = 0;
/** Higher than every rule's number. */
export const NO_RULE = 0x7fff_ffff;
/** In place of a time condition's number. */
export const ALWAYS = -1;
/** In place of a record's count of entries. */
export const PORT_TABLE = -1;

export const NODE_MASK = 1;
export const NODE_EXPECTED = 2;
export const NODE_OTHERWISE = 3;
export const NODE_SLOTS = 4;
/** `meta`: two bits of word number, five bits of shift, then the stride. */
export const META_SHIFT = 2;
export const META_STRIDE = 7;

export const RECORD_ABOVE = 1;
export const RECORD_COUNT = 2;
export const RECORD_ENTRIES = 3;
export const ENTRY_SIZE = 4;
export const ENTRY_RANGE = 1;
export const ENTRY_RULE = 2;
export const ENTRY_TIME = 3;

/** `head` of an entry for every protocol; otherwise a protocol number, `RANGED` added where ports must fit. */
export const ANY_PROTOCOL = -1;
export const RANGED = 0x100;

export const TABLE_OTHERS = 3;
export const TABLE_COUNT = 4;
export const TABLE_PROTOCOLS = 5;
export const PROTOCOL_SIZE = 4;
export const PROTOCOL_UNSEEN = 1;
export const PROTOCOL_STEPS = 2;
export const PROTOCOL_TABLE = 3;

/** A growing array of 32-bit numbers. */
export class CodeBuffer {
  #numbers = new Int32Array(1024);
  /** Offset 0 stays unused, so that it can mean `NO_RECORD`. */
  #length = 1;

  get length(): number {
    return this.#length;
  }

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

  push(...numbers: readonly number[]): number {
    const at = this.reserve(numbers.length);
    for (const [index, number] of numbers.entries()) this.#numbers[at + index] = number;
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

  finish(): Int32Array {
    return this.#numbers.slice(0, this.#length);
  }
}
