/**
 * A policy as it was written: checked, names resolved, everything in the order of the files. What is compiled,
 * explained and compared.
 */
import type { UnixMs } from "../units.ts";
import type { SourceText } from "../yaml/source.ts";
import type { Prefix } from "./address.ts";
import type { PortSelector } from "./port-selector.ts";
import type { TimeCondition } from "./schedule.ts";

export type Action = "allow" | "deny";

/** Where something is written. */
export interface Place {
  readonly source: SourceText;
  readonly offset: number;
}

export interface PolicyRule {
  readonly id: string;
  readonly action: Action;
  readonly enabled: boolean;
  /** Undefined: every address. */
  readonly destinations: readonly Prefix[] | undefined;
  /** Undefined: every protocol. */
  readonly ports: readonly PortSelector[] | undefined;
  /** Undefined: always in force. */
  readonly time: TimeCondition | undefined;
  readonly log: boolean | undefined;
  /** Why, in the author's words; undefined when there are none. */
  readonly reason: string | undefined;
  readonly place: Place;
}

/** Undefined: no limit here. */
export interface Limits {
  readonly maxSessions: number | undefined;
  readonly upBitsPerSecond: number | undefined;
  readonly downBitsPerSecond: number | undefined;
}

export interface PolicyClient {
  readonly name: string;
  readonly enabled: boolean;
  readonly limits: Limits;
  readonly rules: readonly PolicyRule[];
  readonly place: Place;
}

export interface PolicyMember {
  /** Of a client. */
  readonly name: string;
  readonly place: Place;
}

export interface PolicyGroup {
  readonly name: string;
  readonly enabled: boolean;
  readonly members: readonly PolicyMember[];
  readonly limits: Limits;
  readonly rules: readonly PolicyRule[];
  readonly place: Place;
}

export interface PolicyTest {
  readonly name: string | undefined;
  readonly client: string;
  /** One address. */
  readonly destination: Prefix;
  readonly protocol: number;
  /** Undefined when the protocol has no ports. */
  readonly port: number | undefined;
  /** -1 when the protocol is neither ICMP nor ICMPv6. */
  readonly icmpType: number;
  /** Undefined: when the policy is loaded. */
  readonly at: UnixMs | undefined;
  readonly expect: Action;
  /** The id of the rule that must decide. */
  readonly rule: string | undefined;
  readonly place: Place;
}

export interface PolicyDocument {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly defaultAction: Action;
  readonly clients: ReadonlyMap<string, PolicyClient>;
  readonly groups: ReadonlyMap<string, PolicyGroup>;
  readonly tests: readonly PolicyTest[];
}

/** The groups of each client that is in one, in the order of the files. */
export function groupsByClient(document: PolicyDocument): ReadonlyMap<string, readonly PolicyGroup[]> {
  const groups = new Map<string, PolicyGroup[]>();
  for (const group of document.groups.values()) {
    for (const member of group.members) {
      const list = groups.get(member.name);
      if (list === undefined) groups.set(member.name, [group]);
      else list.push(group);
    }
  }
  return groups;
}

/** Of each limit the first that is given: a client's own before those of its groups. */
export function firstLimits(limits: readonly Limits[]): Limits {
  const first = (pick: (limits: Limits) => number | undefined): number | undefined =>
    limits.map(pick).find((value) => value !== undefined);
  return {
    maxSessions: first(({ maxSessions }) => maxSessions),
    upBitsPerSecond: first(({ upBitsPerSecond }) => upBitsPerSecond),
    downBitsPerSecond: first(({ downBitsPerSecond }) => downBitsPerSecond),
  };
}
