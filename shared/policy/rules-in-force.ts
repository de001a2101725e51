/** The rules of a policy that are in force at a time. */
import type { UnixMs } from "../units.ts";
import {
  groupsByClient,
  type PolicyClient,
  type PolicyDocument,
  type PolicyGroup,
  type PolicyRule,
} from "./document.ts";
import { type TimeCondition, timeStateAt } from "./schedule.ts";

export class RulesInForce {
  readonly #document: PolicyDocument;
  readonly #groups: ReturnType<typeof groupsByClient>;
  readonly #at: UnixMs;
  /** Of one owner. Shared by all members of a group. */
  readonly #known = new Map<readonly PolicyRule[], readonly PolicyRule[]>();
  /** A calendar is asked once for each different condition. */
  readonly #conditions = new Map<string, boolean>();

  constructor(document: PolicyDocument, at: UnixMs) {
    this.#document = document;
    this.#groups = groupsByClient(document);
    this.#at = at;
  }

  /** The client and its enabled groups, in the order in which their rules are tried; none when it may not connect. */
  owners(name: string): readonly (PolicyClient | PolicyGroup)[] {
    const client = this.#document.clients.get(name);
    if (client === undefined || !client.enabled) return [];
    return [client, ...(this.#groups.get(name) ?? []).filter(({ enabled }) => enabled)];
  }

  of({ rules }: PolicyClient | PolicyGroup): readonly PolicyRule[] {
    const known = this.#known.get(rules);
    if (known !== undefined) return known;
    const found = rules.filter(({ enabled, time }) => enabled && (time === undefined || this.#holds(time)));
    this.#known.set(rules, found);
    return found;
  }

  #holds(condition: TimeCondition): boolean {
    const key = JSON.stringify(condition);
    const known = this.#conditions.get(key);
    if (known !== undefined) return known;
    const { active } = timeStateAt(condition, this.#at);
    this.#conditions.set(key, active);
    return active;
  }
}
