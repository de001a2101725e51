/** Writes the rules of one prefix: a short list to scan, or a table by protocol and port. */
import { MAX_PORT, MAX_PORT_CANDIDATES, MAX_SCANNED_RULES } from "./constants.ts";
import { ALWAYS, ANY_PROTOCOL, type CodeBuffer, ENTRY_SIZE, NO_RULE, PORT_TABLE, RANGED } from "./matcher-code.ts";

/** One rule with one of its port selectors; a `head` as in `matcher-code.ts`. */
export interface PortEntry {
  readonly head: number;
  readonly from: number;
  readonly to: number;
  readonly rule: number;
  readonly time: number;
}

/** Rules that no packet can reach any more are left out: those after an unconditional one for every protocol. */
export function reachable(entries: readonly PortEntry[]): readonly PortEntry[] {
  const last = entries.findIndex(({ head, time }) => head === ANY_PROTOCOL && time === ALWAYS);
  return last < 0 ? entries : entries.slice(0, last + 1);
}

export class PortTableWriter {
  readonly #code: CodeBuffer;
  #candidates = 0;

  constructor(code: CodeBuffer) {
    this.#code = code;
  }

  /** More candidates than `MAX_PORT_CANDIDATES` were written: the policy must be refused. */
  get overflowed(): boolean {
    return this.#candidates > MAX_PORT_CANDIDATES;
  }

  /** Writes a prefix record and returns where it is; `entries` in rule order. */
  write(parent: number, above: number, entries: readonly PortEntry[]): number {
    if (entries.length > MAX_SCANNED_RULES) return this.#writeTable(parent, above, entries);
    const record = this.#code.reserve(3 + entries.length * ENTRY_SIZE);
    this.#code.set(record, parent);
    this.#code.set(record + 1, above);
    this.#code.set(record + 2, entries.length);
    let at = record + 3;
    for (const { head, from, to, rule, time } of entries) {
      this.#code.set(at, head);
      this.#code.set(at + 1, (from << 16) | to);
      this.#code.set(at + 2, rule);
      this.#code.set(at + 3, time);
      at += ENTRY_SIZE;
    }
    return record;
  }

  #writeTable(parent: number, above: number, entries: readonly PortEntry[]): number {
    const protocols = new Set<number>();
    for (const { head } of entries) if (head !== ANY_PROTOCOL) protocols.add(head & ~RANGED);
    const record = this.#code.reserve(5 + protocols.size * 4);
    this.#code.set(record, parent);
    this.#code.set(record + 1, above);
    this.#code.set(record + 2, PORT_TABLE);
    this.#code.set(record + 3, this.#writeCandidates(paint(entries, ANY_PROTOCOL, this.#budget()).unseen));
    this.#code.set(record + 4, protocols.size);
    let at = record + 5;
    for (const protocol of protocols) {
      const { unseen, starts, lists } = paint(entries, protocol, this.#budget());
      this.#code.set(at, protocol);
      this.#code.set(at + 1, this.#writeCandidates(unseen));
      const steps = mergedSteps(starts, lists);
      this.#code.set(at + 2, steps.length);
      const table = this.#code.reserve(steps.length * 2);
      this.#code.set(at + 3, table);
      for (const [index, { start, list }] of steps.entries()) {
        this.#code.set(table + index, start);
        this.#code.set(table + steps.length + index, this.#writeCandidates(list));
      }
      at += 4;
    }
    return record;
  }

  #budget(): number {
    return MAX_PORT_CANDIDATES + 1 - this.#candidates;
  }

  #writeCandidates(list: CandidateList): number {
    this.#candidates += list.length / 2 + 1;
    const at = this.#code.push(...list);
    if (list.at(-1) !== ALWAYS || list.length === 0) this.#code.push(NO_RULE, ALWAYS);
    return at;
  }
}

/** Pairs of a rule and its time condition, in rule order. */
type CandidateList = number[];

interface Painted {
  /** For packets whose ports or type cannot be seen. */
  readonly unseen: CandidateList;
  /** The first port of each interval, ascending from 0, and its candidates. */
  readonly starts: readonly number[];
  readonly lists: readonly CandidateList[];
}

/**
 * Paints the intervals of one protocol with the rules in order. An interval is closed once an unconditional
 * rule covers it; closed ones are skipped over, so the work is about linear when there are no conditions.
 */
function paint(entries: readonly PortEntry[], protocol: number, budget: number): Painted {
  const mine = entries.filter(({ head }) => head === ANY_PROTOCOL || (head & ~RANGED) === protocol);
  const ranged = mine.filter(({ head }) => head !== ANY_PROTOCOL && (head & RANGED) !== 0);
  const bounds = new Set([0]);
  for (const { from, to } of ranged) {
    bounds.add(from);
    if (to < MAX_PORT) bounds.add(to + 1);
  }
  const starts = [...bounds].sort((a, b) => a - b);
  const indexOf = new Map(starts.map((start, index) => [start, index]));
  const lists: CandidateList[] = starts.map(() => []);
  const unseen: CandidateList = [];
  const open = new OpenIntervals(starts.length);
  let left = budget;
  for (const { head, from, to, rule, time } of mine) {
    const whole = head === ANY_PROTOCOL || (head & RANGED) === 0;
    const first = whole ? 0 : (indexOf.get(from) ?? 0);
    const end = whole || to === MAX_PORT ? starts.length : (indexOf.get(to + 1) ?? starts.length);
    if (whole) addCandidate(unseen, rule, time);
    for (let index = open.next(first); index < end; index = open.next(index + 1)) {
      addCandidate(lists[index] ?? [], rule, time);
      if (time === ALWAYS) open.close(index);
      if (--left < 0) return { unseen, starts: [0], lists: [unseen] };
    }
  }
  return { unseen, starts, lists };
}

/** A rule behind an unconditional one, or behind one with the same condition, never decides. */
function addCandidate(list: CandidateList, rule: number, time: number): void {
  for (let at = 1; at < list.length; at += 2) if (list[at] === ALWAYS || list[at] === time) return;
  list.push(rule, time);
}

/** Which intervals are still open: finding the next one skips over runs of closed ones (union-find). */
class OpenIntervals {
  readonly #next: Int32Array;

  constructor(count: number) {
    this.#next = Int32Array.from({ length: count + 2 }, (_, index) => index);
  }

  /** The first open interval from `index` on; the count when there is none. */
  next(index: number): number {
    let root = index;
    while (this.#link(root) !== root) root = this.#link(root);
    for (let at = index; at !== root;) {
      const following = this.#link(at);
      this.#next[at] = root;
      at = following;
    }
    return root;
  }

  close(index: number): void {
    this.#next[index] = index + 1;
  }

  #link(index: number): number {
    return this.#next[index] ?? index;
  }
}

/** Neighbouring intervals with the same candidates are one. */
function mergedSteps(
  starts: readonly number[],
  lists: readonly CandidateList[],
): { start: number; list: CandidateList }[] {
  const steps: { start: number; list: CandidateList }[] = [];
  for (const [index, start] of starts.entries()) {
    const list = lists[index] ?? [];
    const before = steps.at(-1)?.list;
    if (before !== undefined && before.length === list.length && before.every((value, at) => value === list[at]))
      continue;
    steps.push({ start, list });
  }
  return steps;
}
