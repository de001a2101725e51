/**
 * Finds the first rule of a list that matches a flow: trie → record of the longest prefix → its ports; then the
 * shorter prefixes around it, as long as one of them has an earlier rule. Reads the numbers that
 * `matcher-code.ts` describes; allocates nothing.
 */
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import {
  ALWAYS,
  ANY_PROTOCOL,
  ENTRY_RANGE,
  ENTRY_RULE,
  ENTRY_SIZE,
  ENTRY_TIME,
  META_SHIFT,
  META_STRIDE,
  NO_RECORD,
  NO_RULE,
  NODE_EXPECTED,
  NODE_MASK,
  NODE_OTHERWISE,
  NODE_SLOTS,
  PORT_TABLE,
  PROTOCOL_SIZE,
  PROTOCOL_STEPS,
  PROTOCOL_TABLE,
  PROTOCOL_UNSEEN,
  RANGED,
  RECORD_ABOVE,
  RECORD_COUNT,
  RECORD_ENTRIES,
  TABLE_COUNT,
  TABLE_OTHERS,
  TABLE_PROTOCOLS,
} from "./matcher-code.ts";
import type { TimeConditions } from "./time-conditions.ts";

export class Matcher {
  readonly #code: Int32Array;
  readonly #times: TimeConditions;

  constructor(code: Int32Array, times: TimeConditions) {
    this.#code = code;
    this.#times = times;
  }

  /** The number of the first rule in force that matches, in the list whose trie is at `root`; `NO_RULE`. */
  match(root: number, target: FlowTarget, at: UnixMs): number {
    const code = this.#code;
    const protocol = target.protocol;
    // What carries no ports (or ICMP type) matches no rule that asks for them: no range holds -1.
    const selector = target.hasPorts ? target.dstPort : target.icmpType;
    let best = NO_RULE;
    let record = findRecord(code, root, target);
    while (record !== NO_RECORD) {
      const count = at32(code, record + RECORD_COUNT);
      const rule =
        count === PORT_TABLE
          ? this.#lookUp(record, protocol, selector, at)
          : this.#scan(record + RECORD_ENTRIES, count, protocol, selector, at);
      if (rule < best) best = rule;
      if (best < at32(code, record + RECORD_ABOVE)) break;
      record = at32(code, record);
    }
    return best;
  }

  #scan(first: number, count: number, protocol: number, selector: number, at: UnixMs): number {
    const code = this.#code;
    const end = first + count * ENTRY_SIZE;
    for (let entry = first; entry < end; entry += ENTRY_SIZE) {
      const head = at32(code, entry);
      if (head !== ANY_PROTOCOL) {
        if ((head & ~RANGED) !== protocol) continue;
        if ((head & RANGED) !== 0) {
          const range = at32(code, entry + ENTRY_RANGE);
          if (selector < range >>> 16 || selector > (range & 0xffff)) continue;
        }
      }
      const time = at32(code, entry + ENTRY_TIME);
      if (time === ALWAYS || this.#times.active(time, at)) return at32(code, entry + ENTRY_RULE);
    }
    return NO_RULE;
  }

  #lookUp(record: number, protocol: number, selector: number, at: UnixMs): number {
    const code = this.#code;
    const end = record + TABLE_PROTOCOLS + at32(code, record + TABLE_COUNT) * PROTOCOL_SIZE;
    for (let row = record + TABLE_PROTOCOLS; row < end; row += PROTOCOL_SIZE) {
      if (at32(code, row) !== protocol) continue;
      if (selector < 0) return this.#firstInForce(at32(code, row + PROTOCOL_UNSEEN), at);
      const steps = at32(code, row + PROTOCOL_STEPS);
      const table = at32(code, row + PROTOCOL_TABLE);
      return this.#firstInForce(at32(code, table + steps + stepOf(code, table, steps, selector)), at);
    }
    return this.#firstInForce(at32(code, record + TABLE_OTHERS), at);
  }

  #firstInForce(candidates: number, at: UnixMs): number {
    const code = this.#code;
    for (let candidate = candidates; ; candidate += 2) {
      const rule = at32(code, candidate);
      const time = at32(code, candidate + 1);
      if (time === ALWAYS || this.#times.active(time, at)) return rule;
    }
  }
}

function findRecord(code: Int32Array, root: number, target: FlowTarget): number {
  let reference = root;
  while (reference < 0) {
    const node = ~reference;
    const meta = at32(code, node);
    const word = wordOf(target, meta & 3);
    if ((word & at32(code, node + NODE_MASK)) !== at32(code, node + NODE_EXPECTED)) {
      return at32(code, node + NODE_OTHERWISE);
    }
    const slot = (word >>> ((meta >> META_SHIFT) & 31)) & ((1 << (meta >> META_STRIDE)) - 1);
    reference = at32(code, node + NODE_SLOTS + slot);
  }
  return reference;
}

function wordOf(target: FlowTarget, word: number): number {
  return word === 3 ? target.dst3 : word === 2 ? target.dst2 : word === 1 ? target.dst1 : target.dst0;
}

/** The last of the ascending starts that is not above `selector`; the first is 0. */
function stepOf(code: Int32Array, table: number, steps: number, selector: number): number {
  let low = 0;
  let high = steps - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (at32(code, table + middle) <= selector) low = middle;
    else high = middle - 1;
  }
  return low;
}

function at32(code: Int32Array, at: number): number {
  return code[at] ?? 0;
}
