/**
 * Rules over ports as a step function: which rule is the first, for every protocol and port.
 *
 * The rules paint their intervals of keys in order. An interval is closed once an unconditional rule covers it;
 * closed ones are skipped over, so the work is about linear however many rules there are.
 */
import { MAX_TIMED_CANDIDATES } from "./constants.ts";
import { ALWAYS, type CodeBuffer, END_OF_KEYS, NO_DECISION } from "./matcher-code.ts";

/** One rule with one of its port selectors: the keys from `from` until just before `end`. */
export interface PortEntry {
  readonly from: number;
  readonly end: number;
  readonly decision: number;
  readonly time: number;
}

export class StepPainter {
  /** Candidates in lists so far, over all calls. */
  #listed = 0;
  /** Interval `i` begins at `#starts[i]`. Scratch space, which grows and is used again. */
  #starts = new Int32Array(64);
  /** The next open interval from `i` on, or closer to it (union-find). */
  #next = new Int32Array(64);
  /** The entry that decides alone, or `LISTED`, or `NOBODY`. */
  #owners = new Int32Array(64);
  /** Of intervals with time conditions: the entries that may decide, in order. */
  readonly #lists = new Map<number, number[]>();
  #count = 0;
  #entries: readonly PortEntry[] = [];

  /** More candidates were listed than a policy may have: it must be refused. */
  get overflowed(): boolean {
    return this.#listed > MAX_TIMED_CANDIDATES;
  }

  /** Paints the entries, which are in the order of their rules. What is read below is about the last call. */
  paint(entries: readonly PortEntry[]): void {
    this.#entries = entries;
    this.#lists.clear();
    this.#cut(entries);
    for (const [index, { from, end, time }] of entries.entries()) {
      const last = end === END_OF_KEYS ? this.#count : this.#indexOf(end);
      for (let at = this.#open(this.#indexOf(from)); at < last; at = this.#open(at + 1)) {
        this.#add(at, index, time);
        if (this.overflowed) return;
      }
    }
    this.#join();
  }

  /** How many steps there are. */
  get count(): number {
    return this.#count;
  }

  /** Writes the starts and behind them the values at `at`. */
  write(code: CodeBuffer, at: number): void {
    for (let index = 0; index < this.#count; index++) {
      code.set(at + index, this.#starts[index] ?? 0);
      code.set(at + this.#count + index, this.#valueOf(code, index));
    }
  }

  /** The entries that decide anywhere. */
  survivors(): PortEntry[] {
    const used = new Set<number>();
    for (let index = 0; index < this.#count; index++) {
      const owner = this.#owners[index] ?? NOBODY;
      if (owner >= 0) used.add(owner);
      else for (const listed of this.#lists.get(index) ?? []) used.add(listed);
    }
    return this.#entries.filter((_, index) => used.has(index));
  }

  /** The borders of all entries, ascending, each once. */
  #cut(entries: readonly PortEntry[]): void {
    this.#reserve(2 * entries.length + 2);
    let count = 0;
    this.#starts[count++] = 0;
    for (const { from, end } of entries) {
      this.#starts[count++] = from;
      if (end !== END_OF_KEYS) this.#starts[count++] = end;
    }
    sortNumbers(this.#starts, count);
    let kept = 1;
    for (let index = 1; index < count; index++) {
      const border = this.#starts[index] ?? 0;
      if (border !== this.#starts[kept - 1]) this.#starts[kept++] = border;
    }
    this.#count = kept;
    this.#owners.fill(NOBODY, 0, kept);
    for (let index = 0; index <= kept; index++) this.#next[index] = index;
  }

  #reserve(size: number): void {
    if (size <= this.#starts.length) return;
    this.#starts = new Int32Array(2 * size);
    this.#next = new Int32Array(2 * size);
    this.#owners = new Int32Array(2 * size);
  }

  /** The interval that begins at a border. */
  #indexOf(border: number): number {
    let low = 0;
    let high = this.#count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) < border) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first open interval from `index` on; the count when there is none. */
  #open(index: number): number {
    let root = index;
    while (this.#nextOf(root) !== root) root = this.#nextOf(root);
    for (let at = index; at !== root;) {
      const following = this.#nextOf(at);
      this.#next[at] = root;
      at = following;
    }
    return root;
  }

  #nextOf(index: number): number {
    return this.#next[index] ?? index;
  }

  #add(interval: number, entry: number, time: number): void {
    if (time === ALWAYS) this.#next[interval] = interval + 1;
    const list = this.#lists.get(interval);
    if (list !== undefined) {
      // Behind one with the same condition, another never decides.
      if (list.some((listed) => this.#entries[listed]?.time === time)) return;
      list.push(entry);
      this.#listed++;
    } else if (time === ALWAYS) {
      this.#owners[interval] = entry;
    } else {
      this.#owners[interval] = LISTED;
      this.#lists.set(interval, [entry]);
      this.#listed++;
    }
  }

  /** Neighbours with the same one owner become one step. */
  #join(): void {
    let kept = 0;
    for (let index = 1; index < this.#count; index++) {
      const owner = this.#owners[index] ?? NOBODY;
      if (owner !== LISTED && owner === this.#owners[kept]) continue;
      kept++;
      this.#starts[kept] = this.#starts[index] ?? 0;
      this.#owners[kept] = owner;
      const list = this.#lists.get(index);
      if (list !== undefined && kept !== index) {
        this.#lists.delete(index);
        this.#lists.set(kept, list);
      }
    }
    this.#count = kept + 1;
  }

  #valueOf(code: CodeBuffer, index: number): number {
    const owner = this.#owners[index] ?? NOBODY;
    if (owner === NOBODY) return NO_DECISION;
    if (owner >= 0) return this.#entries[owner]?.decision ?? NO_DECISION;
    const candidates = (this.#lists.get(index) ?? []).flatMap((listed) => this.#entries[listed] ?? []);
    const closed = candidates.at(-1)?.time === ALWAYS;
    const at = code.reserve(2 * (candidates.length + (closed ? 0 : 1)));
    for (const [place, { decision, time }] of candidates.entries()) {
      code.set(at + 2 * place, decision);
      code.set(at + 2 * place + 1, time);
    }
    if (!closed) {
      code.set(at + 2 * candidates.length, NO_DECISION);
      code.set(at + 2 * candidates.length + 1, ALWAYS);
    }
    return ~at;
  }
}

const NOBODY = -1;
const LISTED = -2;

/** Up to so many numbers are sorted faster by insertion; most prefixes have fewer borders. */
const FEW_NUMBERS = 32;

/** Sorts the first `count` numbers. */
function sortNumbers(numbers: Int32Array, count: number): void {
  if (count > FEW_NUMBERS) {
    numbers.subarray(0, count).sort();
    return;
  }
  for (let index = 1; index < count; index++) {
    const number = numbers[index] ?? 0;
    let at = index;
    for (; at > 0 && (numbers[at - 1] ?? 0) > number; at--) numbers[at] = numbers[at - 1] ?? 0;
    numbers[at] = number;
  }
}

/** Two lists in the order of their rules as one. */
export function mergeEntries(one: readonly PortEntry[], other: readonly PortEntry[]): readonly PortEntry[] {
  if (one.length === 0) return other;
  if (other.length === 0) return one;
  return [...one, ...other].sort((a, b) => a.decision - b.decision);
}
