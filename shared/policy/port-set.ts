/** Sets of protocols with ports or ICMP types: what a list of rules allows to one address, and what two such sets differ in. */
import { PROTO_ICMP, PROTO_ICMPV6 } from "../packet/constants.ts";
import { MAX_ICMP_TYPE, MAX_PORT } from "./constants.ts";
import type { Action, PolicyRule } from "./document.ts";
import { formatPortSelector, formatProtocol } from "./port-selector.ts";

/** Ports or ICMP types `from` to `to`, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

export interface PortSet {
  /** Every protocol that is not in `protocols`. */
  readonly others: boolean;
  /** Ascending ranges that do not touch; a protocol without ports has all of them or none. */
  readonly protocols: ReadonlyMap<number, readonly PortRange[]>;
}

export const NO_PORTS: PortSet = { others: false, protocols: new Map() };

/** What the rules, all in force and all for the address in question, allow. */
export function allowedPorts(rules: readonly PolicyRule[], fallback: Action, protocols: Iterable<number>): PortSet {
  const allowed = new Map<number, PortRange[]>();
  for (const protocol of protocols) allowed.set(protocol, allowedOf(rules, fallback, protocol));
  const others = rules.find(({ ports }) => ports === undefined)?.action ?? fallback;
  return { others: others === "allow", protocols: allowed };
}

/** The protocols that rules name. */
export function protocolsNamed(rules: readonly PolicyRule[]): Set<number> {
  return new Set(rules.flatMap(({ ports }) => ports?.map(({ protocol }) => protocol) ?? []));
}

function allowedOf(rules: readonly PolicyRule[], fallback: Action, protocol: number): PortRange[] {
  const allowed: PortRange[] = [];
  let undecided: readonly PortRange[] = [{ from: 0, to: maxOf(protocol) }];
  for (const { ports, action } of rules) {
    const mine = ports === undefined ? [EVERYTHING] : ports.filter((selector) => selector.protocol === protocol);
    for (const range of mine) {
      if (action === "allow") allowed.push(...intersection(undecided, range));
      undecided = undecided.flatMap((piece) => without(piece, range));
    }
    if (undecided.length === 0) break;
  }
  if (fallback === "allow") allowed.push(...undecided);
  return joined(allowed);
}

const EVERYTHING: PortRange = { from: 0, to: MAX_PORT };

function maxOf(protocol: number): number {
  return protocol === PROTO_ICMP || protocol === PROTO_ICMPV6 ? MAX_ICMP_TYPE : MAX_PORT;
}

function intersection(pieces: readonly PortRange[], range: PortRange): PortRange[] {
  return pieces.flatMap(({ from, to }) => {
    const low = Math.max(from, range.from);
    const high = Math.min(to, range.to);
    return low <= high ? [{ from: low, to: high }] : [];
  });
}

function without({ from, to }: PortRange, range: PortRange): PortRange[] {
  if (range.to < from || range.from > to) return [{ from, to }];
  const left = range.from > from ? [{ from, to: range.from - 1 }] : [];
  return range.to < to ? [...left, { from: range.to + 1, to }] : left;
}

function joined(ranges: readonly PortRange[]): PortRange[] {
  const result: PortRange[] = [];
  for (const { from, to } of ranges.toSorted((a, b) => a.from - b.from)) {
    const before = result.at(-1);
    if (before !== undefined && before.to + 1 >= from)
      result[result.length - 1] = { from: before.from, to: Math.max(before.to, to) };
    else result.push({ from, to });
  }
  return result;
}

/** What is in `left` and not in `right`; both must name the same protocols, or none. */
export function portsWithout(left: PortSet, right: PortSet): PortSet {
  const protocols = new Map<number, readonly PortRange[]>();
  for (const [protocol, ranges] of left.protocols) {
    const removed = right.protocols.get(protocol) ?? [];
    protocols.set(
      protocol,
      ranges.flatMap((range) =>
        removed.reduce((pieces, piece) => pieces.flatMap((rest) => without(rest, piece)), [range]),
      ),
    );
  }
  return { others: left.others && !right.others, protocols };
}

export function isEmpty({ others, protocols }: PortSet): boolean {
  return !others && protocols.values().every((ranges) => ranges.length === 0);
}

/** As a policy would write it, `["tcp/443", "icmp"]`; everything is `["*"]`, the rest `"every protocol but tcp"`. */
export function formatPorts({ others, protocols }: PortSet): string[] {
  const entries = [...protocols].sort(([a], [b]) => a - b);
  const partial = entries.filter(([protocol, ranges]) => !isWhole(protocol, ranges));
  if (others && partial.length === 0) return ["*"];
  const named = (others ? partial : entries).flatMap(([protocol, ranges]) => formatRanges(protocol, ranges));
  if (!others) return named;
  return [...named, `every protocol but ${partial.map(([protocol]) => formatProtocol(protocol)).join(", ")}`];
}

function formatRanges(protocol: number, ranges: readonly PortRange[]): string[] {
  const ranged = !isWhole(protocol, ranges);
  return ranges.map(({ from, to }) => formatPortSelector({ protocol, ranged, from, to }));
}

function isWhole(protocol: number, ranges: readonly PortRange[]): boolean {
  const [first] = ranges;
  return ranges.length === 1 && first?.from === 0 && first.to === maxOf(protocol);
}
