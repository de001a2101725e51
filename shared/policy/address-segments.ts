/**
 * The address space cut at the borders of prefixes: each piece with what the prefixes around it amount to. Both
 * routes and comparisons of policies are made of such pieces.
 */
import { ANY_PREFIXES, type Prefix } from "./address.ts";
import type { PolicyRule } from "./document.ts";

/** Four big-endian unsigned words, an IPv4 address in the last, as in `FlowTarget`. */
export type AddressWords = readonly [number, number, number, number];

/** Addresses `start` to `end`, both included, as numbers of 32 or 128 bits. */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface Segment<State> extends AddressRange {
  readonly state: State;
}

/** A distinct prefix and the numbers (places in the list) of the rules that name it, ascending. */
interface Border extends AddressRange {
  readonly length: number;
  readonly rules: number[];
}

/**
 * All addresses of one version in ascending pieces. `outside` is the state without any rule; `inside` makes the
 * state within a prefix from the state around it and the numbers of the rules that name the prefix.
 */
export function segmentsOf<State>(
  version: 4 | 6,
  rules: readonly PolicyRule[],
  outside: State,
  inside: (around: State, here: readonly number[]) => State,
): Segment<State>[] {
  const segments: Segment<State>[] = [];
  const limit = 1n << (version === 4 ? 32n : 128n);
  const around: { end: bigint; state: State }[] = [{ end: limit - 1n, state: outside }];
  let position = 0n;
  /** Closes what ends before `until`, and fills up to it. */
  const advance = (until: bigint): void => {
    for (let top = around.at(-1); top !== undefined; top = around.at(-1)) {
      const end = top.end < until ? top.end : until - 1n;
      if (end >= position) {
        segments.push({ start: position, end, state: top.state });
        position = end + 1n;
      }
      if (top.end >= until) return;
      around.pop();
    }
  };
  for (const { start, end, rules: here } of bordersOf(rules, version)) {
    advance(start);
    around.push({ end, state: inside(around.at(-1)?.state ?? outside, here) });
  }
  advance(limit);
  return segments;
}

/** Distinct prefixes by address, shorter ones first. */
function bordersOf(rules: readonly PolicyRule[], version: 4 | 6): Border[] {
  const borders = new Map<string, Border>();
  for (const [number, { destinations }] of rules.entries()) {
    for (const prefix of destinations ?? ANY_PREFIXES) {
      if (prefix.version !== version) continue;
      const key = `${prefix.w0} ${prefix.w1} ${prefix.w2} ${prefix.w3} ${prefix.length}`;
      const known = borders.get(key);
      if (known === undefined) borders.set(key, { ...rangeOf(prefix), length: prefix.length, rules: [number] });
      else if (known.rules.at(-1) !== number) known.rules.push(number);
    }
  }
  return [...borders.values()].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.length - b.length));
}

export function rangeOf({ version, w0, w1, w2, w3, length }: Prefix): AddressRange {
  const start = (BigInt(w0) << 96n) | (BigInt(w1) << 64n) | (BigInt(w2) << 32n) | BigInt(w3);
  return { start, end: start + (1n << BigInt((version === 4 ? 32 : 128) - length)) - 1n };
}

export function wordsOf(address: bigint): AddressWords {
  const word = (shift: bigint): number => Number((address >> shift) & 0xffff_ffffn);
  return [word(96n), word(64n), word(32n), word(0n)];
}

/** Joins ascending ranges that touch. */
export function joinRanges(ranges: Iterable<AddressRange>): AddressRange[] {
  const joined: AddressRange[] = [];
  for (const { start, end } of ranges) {
    const before = joined.at(-1);
    if (before !== undefined && before.end + 1n === start) joined[joined.length - 1] = { start: before.start, end };
    else joined.push({ start, end });
  }
  return joined;
}

/** The fewest prefixes that make up the range, ascending. */
export function prefixesOf(version: 4 | 6, { start, end }: AddressRange): Prefix[] {
  const bits = version === 4 ? 32 : 128;
  const prefixes: Prefix[] = [];
  for (let at = start; at <= end;) {
    let size = 0;
    while (size < bits && (at & (1n << BigInt(size))) === 0n && at + (2n << BigInt(size)) - 1n <= end) size++;
    const [w0, w1, w2, w3] = wordsOf(at);
    prefixes.push({ version, w0, w1, w2, w3, length: bits - size });
    at += 1n << BigInt(size);
  }
  return prefixes;
}
