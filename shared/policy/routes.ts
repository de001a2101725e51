/**
 * What rules let a client reach, as address ranges for ROUTE_ADVERTISEMENT (RFC 9484 section 4.7.3).
 *
 *   prefixes of all rules, sorted ─▶ segments between their borders ─▶ protocols that some rule allows there
 *
 * Ports are not looked at: an address is reachable when a packet to it may be allowed. It is left out only where
 * an earlier rule denies every protocol. The policy still judges each flow.
 */
import { ANY_PREFIXES, type Prefix } from "./address.ts";
import type { Action, PolicyRule } from "./document.ts";

/** Four big-endian unsigned words, an IPv4 address in the last, as in `FlowTarget`. */
export type AddressWords = readonly [number, number, number, number];

/** Addresses `start` to `end`, both included. */
export interface Route {
  readonly version: 4 | 6;
  readonly start: AddressWords;
  readonly end: AddressWords;
  /** IANA protocol number; 0 is every protocol. */
  readonly ipProtocol: number;
}

const EVERY_PROTOCOL = 0;

/**
 * The routes of rules that are all in force, in the order in which they are tried; `fallback` is for what none
 * of them matches. Ascending by version, protocol and address; ranges of one protocol never touch.
 */
export function routesOf(rules: readonly PolicyRule[], fallback: Action): Route[] {
  return [...routesOfVersion(rules, fallback, 4), ...routesOfVersion(rules, fallback, 6)];
}

/**
 * What the rules around an address amount to: the first rule for every protocol, and for each protocol the first
 * rule that allows some of it. Numbers are places in the order of the rules.
 */
interface Reach {
  readonly any: number;
  readonly anyAction: Action;
  readonly allows: ReadonlyMap<number, number>;
}

/** A distinct prefix with the rules that name it. */
interface Border {
  readonly prefix: Prefix;
  readonly start: bigint;
  readonly end: bigint;
  readonly rules: number[];
}

interface Segment {
  readonly start: bigint;
  readonly end: bigint;
  readonly protocols: readonly number[];
}

function routesOfVersion(rules: readonly PolicyRule[], fallback: Action, version: 4 | 6): Route[] {
  const segments = segmentsOf(rules, fallback, version);
  const protocols = new Set(segments.flatMap((segment) => segment.protocols));
  return [...protocols]
    .sort((a, b) => a - b)
    .flatMap((protocol) =>
      mergedRanges(segments, protocol).map(({ start, end }) => routeOf(version, protocol, start, end)),
    );
}

/** Neighbouring segments with the protocol are one range. */
function mergedRanges(segments: readonly Segment[], protocol: number): { start: bigint; end: bigint }[] {
  const ranges: { start: bigint; end: bigint }[] = [];
  for (const { start, end, protocols } of segments) {
    if (!protocols.includes(protocol)) continue;
    const before = ranges.at(-1);
    if (before !== undefined && before.end + 1n === start) before.end = end;
    else ranges.push({ start, end });
  }
  return ranges;
}

/** The whole address space in ascending pieces, each with the protocols that may pass. */
function segmentsOf(rules: readonly PolicyRule[], fallback: Action, version: 4 | 6): Segment[] {
  const segments: Segment[] = [];
  const everything: Reach = { any: Number.POSITIVE_INFINITY, anyAction: fallback, allows: new Map() };
  const around: { end: bigint; reach: Reach }[] = [
    { end: (1n << (version === 4 ? 32n : 128n)) - 1n, reach: everything },
  ];
  let position = 0n;
  /** Closes what ends before `until`, and fills up to it. */
  const advance = (until: bigint): void => {
    for (let top = around.at(-1); top !== undefined; top = around.at(-1)) {
      const end = top.end < until ? top.end : until - 1n;
      if (end >= position) {
        segments.push({ start: position, end, protocols: protocolsOf(top.reach) });
        position = end + 1n;
      }
      if (top.end >= until) return;
      around.pop();
    }
  };
  for (const { start, end, rules: here } of bordersOf(rules, version)) {
    advance(start);
    around.push({ end, reach: reachInside(around.at(-1)?.reach ?? everything, rules, here) });
  }
  advance(1n << 128n);
  return segments;
}

function protocolsOf({ any, anyAction, allows }: Reach): number[] {
  if (anyAction === "allow") return [EVERY_PROTOCOL];
  return [...allows].filter(([, rule]) => rule < any).map(([protocol]) => protocol);
}

function reachInside(outside: Reach, rules: readonly PolicyRule[], here: readonly number[]): Reach {
  let { any, anyAction } = outside;
  const allows = new Map(outside.allows);
  for (const number of here) {
    const rule = rules[number];
    if (rule === undefined) continue;
    if (rule.ports === undefined) {
      if (number > any) continue;
      any = number;
      anyAction = rule.action;
    } else if (rule.action === "allow") {
      for (const { protocol } of rule.ports) allows.set(protocol, Math.min(number, allows.get(protocol) ?? number));
    }
  }
  return { any, anyAction, allows };
}

/** Distinct prefixes by address, shorter ones first. */
function bordersOf(rules: readonly PolicyRule[], version: 4 | 6): Border[] {
  const borders = new Map<string, Border>();
  for (const [number, rule] of rules.entries()) {
    for (const prefix of rule.destinations ?? ANY_PREFIXES) {
      if (prefix.version !== version) continue;
      const key = `${prefix.w0} ${prefix.w1} ${prefix.w2} ${prefix.w3} ${prefix.length}`;
      const known = borders.get(key);
      if (known !== undefined) {
        known.rules.push(number);
        continue;
      }
      const start =
        (BigInt(prefix.w0) << 96n) | (BigInt(prefix.w1) << 64n) | (BigInt(prefix.w2) << 32n) | BigInt(prefix.w3);
      const end = start + (1n << BigInt((version === 4 ? 32 : 128) - prefix.length)) - 1n;
      borders.set(key, { prefix, start, end, rules: [number] });
    }
  }
  return [...borders.values()].sort((a, b) => compare(a.start, b.start) || a.prefix.length - b.prefix.length);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function routeOf(version: 4 | 6, ipProtocol: number, start: bigint, end: bigint): Route {
  return { version, ipProtocol, start: wordsOf(start), end: wordsOf(end) };
}

function wordsOf(address: bigint): AddressWords {
  const word = (shift: bigint): number => Number((address >> shift) & 0xffff_ffffn);
  return [word(96n), word(64n), word(32n), word(0n)];
}
