/**
 * What two policies let each client reach, compared: as destinations and ports, not as text.
 *
 *   rules in force of both ─▶ address segments ─▶ ports allowed before and after ─▶ gained, lost
 */
import type { UnixMs } from "../units.ts";
import { formatAddress, formatPrefix } from "./address.ts";
import { type AddressRange, joinRanges, prefixesOf, segmentsOf, wordsOf } from "./address-segments.ts";
import { MAX_COMPARISON_STEPS } from "./constants.ts";
import { type Action, firstLimits, type Limits, type PolicyDocument, type PolicyRule } from "./document.ts";
import {
  allowedPorts,
  formatPorts,
  isEmpty,
  NO_PORTS,
  type PortSet,
  portsWithout,
  protocolsNamed,
} from "./port-set.ts";
import { RulesInForce } from "./rules-in-force.ts";
import { ZgateError } from "../errors.ts";

/** Every one of these destinations with every one of these ports. */
export interface Reachable {
  /** Prefixes, addresses, or ranges `first-last`. */
  readonly destinations: readonly string[];
  /** As under `ports` in a policy; `*` is everything. */
  readonly ports: readonly string[];
}

export interface ClientDifference {
  readonly client: string;
  /** Who may connect at all: only one of the policies lets a client in that was added, removed, enabled, disabled. */
  readonly admitted: "still" | "newly" | "no longer";
  readonly gained: readonly Reachable[];
  readonly lost: readonly Reachable[];
  /** Changed limits, as sentences. */
  readonly limits: readonly string[];
}

/** A client as one of the policies sees it at a time. */
interface View {
  readonly rules: readonly PolicyRule[];
  readonly fallback: Action;
  readonly limits: Limits;
}

/**
 * Every client for whom something differs at `at`, in the order of the new policy, removed clients last. Throws
 * `ZG_POLICY_INVALID` when that takes more than
 * `maxSteps` (pairs of an address segment and a rule that covers it).
 */
export function comparePolicies(
  before: PolicyDocument,
  after: PolicyDocument,
  at: UnixMs,
  maxSteps = MAX_COMPARISON_STEPS,
): ClientDifference[] {
  const views = { before: new Views(before, at), after: new Views(after, at) };
  const comparer = new Comparer(maxSteps);
  const names = new Set([...after.clients.keys(), ...before.clients.keys()]);
  return [...names].flatMap((client) => {
    const old = views.before.of(client);
    const now = views.after.of(client);
    if (old === undefined && now === undefined) return [];
    const admitted = old === undefined ? "newly" : now === undefined ? "no longer" : "still";
    const { gained, lost } = comparer.compare(old, now);
    const limits = old !== undefined && now !== undefined ? limitChanges(old.limits, now.limits) : [];
    if (admitted === "still" && gained.length === 0 && lost.length === 0 && limits.length === 0) return [];
    return [{ client, admitted, gained, lost, limits }];
  });
}

class Views {
  readonly #document: PolicyDocument;
  readonly #inForce: RulesInForce;

  constructor(document: PolicyDocument, at: UnixMs) {
    this.#document = document;
    this.#inForce = new RulesInForce(document, at);
  }

  /** Undefined when the client may not connect. */
  of(name: string): View | undefined {
    const owners = this.#inForce.owners(name);
    if (owners.length === 0) return undefined;
    return {
      rules: owners.flatMap((owner) => this.#inForce.of(owner)),
      fallback: this.#document.defaultAction,
      limits: firstLimits(owners.map(({ limits }) => limits)),
    };
  }
}

function limitChanges(before: Limits, after: Limits): string[] {
  const change = (what: string, unit: string, old: number | undefined, now: number | undefined): string[] =>
    old === now
      ? []
      : [
          `${what}: ${old === undefined ? "no limit" : `${old}${unit}`} to ${now === undefined ? "no limit" : `${now}${unit}`}`,
        ];
  return [
    ...change("max_sessions", "", before.maxSessions, after.maxSessions),
    ...change("rate_limit up", " bit/s", before.upBitsPerSecond, after.upBitsPerSecond),
    ...change("rate_limit down", " bit/s", before.downBitsPerSecond, after.downBitsPerSecond),
  ];
}

interface Change {
  readonly gained: readonly Reachable[];
  readonly lost: readonly Reachable[];
}

const NO_CHANGE: Change = { gained: [], lost: [] };

/** Compares views; clients that share their rules are compared once. */
class Comparer {
  readonly #known = new Map<string, Change>();
  readonly #texts = new Map<PolicyRule, string>();
  #stepsLeft: number;

  constructor(maxSteps: number) {
    this.#stepsLeft = maxSteps;
  }

  compare(before: View | undefined, after: View | undefined): Change {
    const keys = [this.#keyOf(before), this.#keyOf(after)];
    if (keys[0] === keys[1]) return NO_CHANGE;
    const key = keys.join("\n\n");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const change = this.#change(before ?? NOBODY, after ?? NOBODY);
    this.#known.set(key, change);
    return change;
  }

  #keyOf(view: View | undefined): string {
    return view === undefined ? "" : `${view.fallback}\n${view.rules.map((rule) => this.#textOf(rule)).join("\n")}`;
  }

  /** What a rule that is in force says, without its name and place. */
  #textOf(rule: PolicyRule): string {
    const known = this.#texts.get(rule);
    if (known !== undefined) return known;
    const text = JSON.stringify([rule.action, rule.destinations, rule.ports]);
    this.#texts.set(rule, text);
    return text;
  }

  #change(before: View, after: View): Change {
    const gained = new Map<string, { ports: PortSet; ranges: Record<4 | 6, AddressRange[]> }>();
    const lost: typeof gained = new Map();
    const rules = [...before.rules, ...after.rules];
    for (const version of [4, 6] as const) {
      const segments = segmentsOf<readonly number[]>(version, rules, [], (around, here) =>
        this.#covering(around, here),
      );
      for (const { start, end, state } of segments) {
        const old = state.flatMap((number) => before.rules[number] ?? []);
        const now = state.flatMap((number) =>
          number < before.rules.length ? [] : (after.rules[number - before.rules.length] ?? []),
        );
        const protocols = protocolsNamed([...old, ...now]);
        const was = before === NOBODY ? NO_PORTS : allowedPorts(old, before.fallback, protocols);
        const is = after === NOBODY ? NO_PORTS : allowedPorts(now, after.fallback, protocols);
        collect(gained, portsWithout(is, was), version, { start, end });
        collect(lost, portsWithout(was, is), version, { start, end });
      }
    }
    return { gained: reachables(gained), lost: reachables(lost) };
  }

  #covering(around: readonly number[], here: readonly number[]): readonly number[] {
    this.#stepsLeft -= around.length + here.length;
    if (this.#stepsLeft < 0)
      throw new ZgateError("ZG_POLICY_INVALID", "the policies differ in too much to be compared");
    return [...around, ...here].sort((a, b) => a - b);
  }
}

const NOBODY: View = {
  rules: [],
  fallback: "deny",
  limits: { maxSessions: undefined, upBitsPerSecond: undefined, downBitsPerSecond: undefined },
};

function collect(
  into: Map<string, { ports: PortSet; ranges: Record<4 | 6, AddressRange[]> }>,
  ports: PortSet,
  version: 4 | 6,
  range: AddressRange,
): void {
  if (isEmpty(ports)) return;
  const key = formatPorts(ports).join(" ");
  const known = into.get(key) ?? { ports, ranges: { 4: [], 6: [] } };
  known.ranges[version].push(range);
  into.set(key, known);
}

function reachables(
  changes: ReadonlyMap<string, { ports: PortSet; ranges: Record<4 | 6, AddressRange[]> }>,
): Reachable[] {
  return [...changes.values()].map(({ ports, ranges }) => ({
    destinations: ([4, 6] as const).flatMap((version) =>
      joinRanges(ranges[version]).flatMap((range) => formatRange(version, range)),
    ),
    ports: formatPorts(ports),
  }));
}

/** More prefixes than this read worse than the range that they make up. */
const MAX_PREFIXES = 3;

function formatRange(version: 4 | 6, range: AddressRange): string[] {
  const prefixes = prefixesOf(version, range);
  if (prefixes.length <= MAX_PREFIXES) return prefixes.map(formatPrefix);
  return [`${formatAddress(version, ...wordsOf(range.start))}-${formatAddress(version, ...wordsOf(range.end))}`];
}
