/**
 * What rules let a client reach, as address ranges for ROUTE_ADVERTISEMENT (RFC 9484 section 4.7.3).
 *
 *   prefixes of all rules, sorted ─▶ segments between their borders ─▶ protocols that some rule allows there
 *
 * Ports are not looked at: an address is reachable when a packet to it may be allowed. It is left out only where
 * an earlier rule denies every protocol. The policy still judges each flow.
 */
import type { UnixMs } from "../units.ts";
import { type AddressWords, joinRanges, type Segment, segmentsOf, wordsOf } from "./address-segments.ts";
import type { Action, PolicyDocument, PolicyRule } from "./document.ts";
import { RulesInForce } from "./rules-in-force.ts";

/** Addresses `start` to `end`, both included. */
export interface Route {
  readonly version: 4 | 6;
  readonly start: AddressWords;
  readonly end: AddressWords;
  /** IANA protocol number; 0 is every protocol. */
  readonly ipProtocol: number;
}

const EVERY_PROTOCOL = 0;

/** What each client of a policy may reach at a time. Takes about a second for 100,000 rules. */
export class ClientRoutes {
  readonly #fallback: Action;
  readonly #inForce: RulesInForce;

  constructor(document: PolicyDocument, at: UnixMs) {
    this.#fallback = document.defaultAction;
    this.#inForce = new RulesInForce(document, at);
  }

  /** Nothing for who may not connect. Ordered as `routesOf` does it. */
  of(client: string): Route[] {
    const owners = this.#inForce.owners(client);
    if (owners.length === 0) return [];
    return routesOf(
      owners.flatMap((owner) => this.#inForce.of(owner)),
      this.#fallback,
    );
  }
}

/**
 * The routes of rules that are all in force, in the order in which they are tried; `fallback` is for what none
 * of them matches. Ascending by version, protocol and address; ranges of one protocol never touch.
 */
function routesOf(rules: readonly PolicyRule[], fallback: Action): Route[] {
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

function routesOfVersion(rules: readonly PolicyRule[], fallback: Action, version: 4 | 6): Route[] {
  const nothing: Reach = { any: Number.POSITIVE_INFINITY, anyAction: fallback, allows: new Map() };
  const segments = segmentsOf(version, rules, nothing, (around, here) => reachInside(around, rules, here));
  const byProtocol = new Map<number, Segment<Reach>[]>();
  for (const segment of segments) {
    for (const protocol of protocolsOf(segment.state)) {
      const list = byProtocol.get(protocol);
      if (list === undefined) byProtocol.set(protocol, [segment]);
      else list.push(segment);
    }
  }
  return [...byProtocol]
    .sort(([a], [b]) => a - b)
    .flatMap(([ipProtocol, ranges]) =>
      joinRanges(ranges).map(({ start, end }) => ({ version, ipProtocol, start: wordsOf(start), end: wordsOf(end) })),
    );
}

function protocolsOf({ any, anyAction, allows }: Reach): number[] {
  if (anyAction === "allow") return [EVERY_PROTOCOL];
  return [...allows].filter(([, rule]) => rule < any).map(([protocol]) => protocol);
}

function reachInside(around: Reach, rules: readonly PolicyRule[], here: readonly number[]): Reach {
  let { any, anyAction } = around;
  const allows = new Map(around.allows);
  for (const number of here) {
    const rule = rules[number];
    if (rule === undefined || number > any) continue;
    if (rule.ports === undefined) {
      any = number;
      anyAction = rule.action;
    } else if (rule.action === "allow") {
      for (const { protocol } of rule.ports) allows.set(protocol, Math.min(number, allows.get(protocol) ?? number));
    }
  }
  return { any, anyAction, allows };
}
