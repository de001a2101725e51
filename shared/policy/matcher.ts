/**
 * Finds the first rule of a list that matches a flow: trie → record of the longest prefix → its steps by protocol
 * and port; where the record is chained, the shorter prefixes around it, as long as one of them has an earlier
 * rule. Reads the numbers that `matcher-code.ts` describes; allocates nothing.
 */
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import {
  ALWAYS,
  CHAINED_LEAST,
  CHAINED_RECORD,
  CHAINED_STARTS,
  META_SHIFT,
  META_STRIDE,
  NO_DECISION,
  NO_RECORD,
  NODE_EXPECTED,
  NODE_MASK,
  NODE_OTHERWISE,
  NODE_SLOTS,
  portKey,
  WHOLE_STARTS,
} from "./matcher-code.ts";
import type { TimeConditions } from "./time-conditions.ts";

export class Matcher {
  readonly #code: Int32Array;
  readonly #times: TimeConditions;

  constructor(code: Int32Array, times: TimeConditions) {
    this.#code = code;
    this.#times = times;
  }

  /** The decision of the first rule in force that matches, in the list whose trie is at `root`; `NO_DECISION`. */
  match(root: number, target: FlowTarget, at: UnixMs): number {
    const code = this.#code;
    // What carries no ports (or ICMP type) matches no rule that asks for them.
    const key = portKey(target.protocol, target.hasPorts ? target.dstPort : target.icmpType);
    let best = NO_DECISION;
    let record = findRecord(code, root, target);
    while (record !== NO_RECORD) {
      const count = at32(code, record);
      if (count > 0) {
        const decision = this.#decisionAt(record + WHOLE_STARTS, count, key, at);
        return decision < best ? decision : best;
      }
      const decision = this.#decisionAt(record + CHAINED_STARTS, -count, key, at);
      if (decision < best) best = decision;
      if (best < at32(code, record + CHAINED_LEAST)) return best;
      record = at32(code, record + CHAINED_RECORD);
    }
    return best;
  }

  #decisionAt(starts: number, count: number, key: number, at: UnixMs): number {
    const code = this.#code;
    // The last start that is not above the key; the first is 0.
    let step = starts;
    for (let length = count; length > 1;) {
      const half = length >> 1;
      // `half` where the start is not above the key, without a branch that could be mispredicted.
      step += ((at32(code, step + half) - key - 1) >> 31) & half;
      length -= half;
    }
    const value = at32(code, step + count);
    return value >= 0 ? value : this.#firstInForce(~value, at);
  }

  #firstInForce(candidates: number, at: UnixMs): number {
    const code = this.#code;
    for (let candidate = candidates; ; candidate += 2) {
      const time = at32(code, candidate + 1);
      if (time === ALWAYS || this.#times.active(time, at)) return at32(code, candidate);
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

function at32(code: Int32Array, at: number): number {
  return code[at] ?? 0;
}
