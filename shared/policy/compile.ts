/**
 * A checked policy → what judges flows: every rule list (a client's own, a group's) once into the matcher's
 * code, a verdict a rule, and for each client the lists that hold for it; all of it in columns that threads share.
 *
 * A client's own rules are tried first, then its groups' in the order of the file, then `default_action`.
 */
import { ANY_PREFIXES, formatAddress } from "./address.ts";
import { CompiledPolicy } from "./compiled-policy.ts";
import { MAX_TIMED_CANDIDATES } from "./constants.ts";
import {
  firstLimits,
  groupsByClient,
  type PolicyClient,
  type PolicyDocument,
  type PolicyGroup,
  type PolicyRule,
} from "./document.ts";
import { ALWAYS, CodeBuffer, decisionOf, END_OF_KEYS, portKey } from "./matcher-code.ts";
import type { ClientColumns } from "./policy-image.ts";
import { type PortEntry, StepPainter } from "./port-steps.ts";
import { type RuleDestination, writeTrie } from "./prefix-trie.ts";
import { PolicyError } from "./problem.ts";
import { sharedBytes, sharedDoubles, sharedIntegers, sharedNumbers } from "./shared-columns.ts";
import { TextWriter } from "./text-columns.ts";
import { TimeWriter } from "./time-conditions.ts";
import { VerdictWriter } from "./verdict-writer.ts";

/** Throws a `PolicyError` when the rules overlap in so many ways that tables would grow without bound. */
export function compilePolicy(document: PolicyDocument): CompiledPolicy {
  return new PolicyCompiler(document).compile();
}

class PolicyCompiler {
  readonly #document: PolicyDocument;
  readonly #code = new CodeBuffer();
  readonly #painter = new StepPainter();
  readonly #verdicts = new VerdictWriter();
  readonly #times = new TimeWriter();
  readonly #hosts = new TextWriter();
  /** Two a list. */
  readonly #roots: number[] = [];
  /** The number of each owner's list. */
  readonly #lists = new Map<PolicyClient | PolicyGroup, number>();

  constructor(document: PolicyDocument) {
    this.#document = document;
  }

  compile(): CompiledPolicy {
    const { clients, groups, defaultAction } = this.#document;
    for (const client of clients.values()) this.#compileList(client, `client ${client.name}`);
    for (const group of groups.values()) this.#compileList(group, `group ${group.name}`);
    this.#verdicts.add({
      action: defaultAction,
      id: "default_action",
      reason: `no rule matches, and default_action is ${defaultAction}`,
    });
    this.#verdicts.add({
      action: "deny",
      id: "client_disabled",
      reason: "the client is disabled or not in the policy",
    });
    return new CompiledPolicy({
      code: this.#code.finish(),
      roots: sharedIntegers(this.#roots),
      verdicts: this.#verdicts.finish(),
      clients: this.#clientColumns(),
      times: this.#times.finish(),
      hosts: this.#hosts.finish(),
    });
  }

  #compileList(owner: PolicyClient | PolicyGroup, ownerName: string): void {
    if (!owner.enabled || owner.rules.length === 0) return;
    const destinations4: RuleDestination[] = [];
    const destinations6: RuleDestination[] = [];
    for (const rule of owner.rules) {
      if (!rule.enabled) continue;
      const { action, id, reason, log } = rule;
      const index = this.#verdicts.add({ action, id, reason, log, ownerName });
      const time = rule.time === undefined ? ALWAYS : this.#times.add(rule.time);
      const entries = entriesOf(rule, decisionOf(index, action === "allow"), time);
      for (const prefix of rule.destinations ?? ANY_PREFIXES) {
        (prefix.version === 4 ? destinations4 : destinations6).push({ prefix, entries });
        const { version, w0, w1, w2, w3, length } = prefix;
        if (action === "allow" && length === (version === 4 ? 32 : 128))
          this.#hosts.add(formatAddress(version, w0, w1, w2, w3));
      }
    }
    const root4 = writeTrie(this.#code, this.#painter, destinations4);
    const root6 = writeTrie(this.#code, this.#painter, destinations6);
    if (this.#painter.overflowed) {
      const { source, offset } = owner.place;
      const message = `the rules of ${ownerName} overlap in too many ways (more than ${MAX_TIMED_CANDIDATES} in all)`;
      const hint = "use fewer different times for rules with the same destinations and ports";
      throw new PolicyError("ZG_POLICY_INVALID", [source.problem(offset, message, hint)]);
    }
    this.#lists.set(owner, this.#roots.push(root4, root6) / 2 - 1);
  }

  #clientColumns(): ClientColumns {
    const { clients } = this.#document;
    const memberships = groupsByClient(this.#document);
    const names = new TextWriter();
    const enabled: number[] = [];
    const limits: number[] = [];
    const listEnds: number[] = [];
    const lists: number[] = [];
    for (const client of clients.values()) {
      names.add(client.name);
      const owners = [client, ...(memberships.get(client.name) ?? []).filter((group) => group.enabled)];
      const first = firstLimits(owners.map((owner) => owner.limits));
      enabled.push(client.enabled ? 1 : 0);
      limits.push(first.maxSessions ?? NaN, first.upBitsPerSecond ?? NaN, first.downBitsPerSecond ?? NaN);
      for (const owner of owners) {
        const list = this.#lists.get(owner);
        if (list !== undefined) lists.push(list);
      }
      listEnds.push(lists.length);
    }
    return {
      names: names.finish(),
      enabled: sharedBytes(enabled),
      limits: sharedDoubles(limits),
      listEnds: sharedNumbers(listEnds),
      lists: sharedNumbers(lists),
    };
  }
}

/** The rule once for each of its port selectors. */
function entriesOf(rule: PolicyRule, decision: number, time: number): PortEntry[] {
  if (rule.ports === undefined) return [{ from: 0, end: END_OF_KEYS, decision, time }];
  return rule.ports.map(({ protocol, ranged, from, to }) => ({
    from: portKey(protocol, ranged ? from : -1),
    end: ranged ? portKey(protocol, to) + 1 : portKey(protocol + 1, -1),
    decision,
    time,
  }));
}
