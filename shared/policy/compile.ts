/**
 * A checked policy → what judges flows: every rule list (a client's own, a group's) once into the matcher's
 * code, a verdict a rule, and for each client the lists that hold for it.
 *
 * A client's own rules are tried first, then its groups' in the order of the file, then `default_action`.
 */
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import { ANY_PREFIXES } from "./address.ts";
import { MAX_TIMED_CANDIDATES } from "./constants.ts";
import {
  type Action,
  firstLimits,
  groupsByClient,
  type Limits,
  type PolicyClient,
  type PolicyDocument,
  type PolicyGroup,
  type PolicyRule,
} from "./document.ts";
import { ALWAYS, CodeBuffer, decisionOf, END_OF_KEYS, portKey } from "./matcher-code.ts";
import { CompiledClient, type CompiledList } from "./compiled-client.ts";
import { Matcher } from "./matcher.ts";
import { type PortEntry, StepPainter } from "./port-steps.ts";
import { type RuleDestination, writeTrie } from "./prefix-trie.ts";
import { PolicyError } from "./problem.ts";
import type { Route } from "./routes.ts";
import { TimeConditions } from "./time-conditions.ts";
import type { TimeCondition } from "./schedule.ts";

/** What the policy says to a flow. One object a rule, made when the policy is compiled. */
export interface Verdict {
  readonly action: Action;
  /** The rule's id; `default_action` or `client_disabled` when no rule decides. */
  readonly ruleId: string;
  readonly reason: string;
  /** Whether to record the flow; undefined: the relay's own setting. */
  readonly log: boolean | undefined;
  /** Small, dense from 0, unique in its policy: what flow tables store. `CompiledPolicy.verdict` takes it back. */
  readonly index: number;
}

/** What the policy says about one client. */
export interface ClientPolicy {
  readonly name: string;
  /** False: the client is refused, and every verdict is deny. */
  readonly enabled: boolean;
  /** The client's own limits; where it has none, those of its first group that has. */
  readonly limits: Limits;
  /** Judges a flow at a time. Allocates nothing; one of the policy's verdicts. */
  judge(target: FlowTarget, at: UnixMs): Verdict;
  /** The same as one number, `decisionOf(verdict.index, allow)`: without looking at the verdict's object. */
  decide(target: FlowTarget, at: UnixMs): number;
  /** What the client may reach at a time, for ROUTE_ADVERTISEMENT: sorted, without overlap. */
  routes(at: UnixMs): readonly Route[];
}

export class CompiledPolicy {
  readonly metadata: Readonly<Record<string, unknown>>;
  /** The verdict on whom the policy does not know or has disabled. */
  readonly refusal: Verdict;
  readonly #clients: ReadonlyMap<string, ClientPolicy>;
  readonly #verdicts: readonly Verdict[];
  readonly #times: TimeConditions;

  constructor(
    metadata: Readonly<Record<string, unknown>>,
    refusal: Verdict,
    clients: ReadonlyMap<string, ClientPolicy>,
    verdicts: readonly Verdict[],
    times: TimeConditions,
  ) {
    this.metadata = metadata;
    this.refusal = refusal;
    this.#clients = clients;
    this.#verdicts = verdicts;
    this.#times = times;
  }

  /** Undefined: the policy does not know the client, who is to be refused. */
  client(name: string): ClientPolicy | undefined {
    return this.#clients.get(name);
  }

  get clientNames(): IterableIterator<string> {
    return this.#clients.keys();
  }

  /** The verdict with that `index`; the refusal when there is none. */
  verdict(index: number): Verdict {
    return this.#verdicts[index] ?? this.refusal;
  }

  /** The next time after `at` at which a verdict may change without a new policy. */
  nextChangeAfter(at: UnixMs): UnixMs | undefined {
    return this.#times.nextChangeAfter(at);
  }
}

/** Throws a `PolicyError` when the rules overlap in so many ways that tables would grow without bound. */
export function compilePolicy(document: PolicyDocument): CompiledPolicy {
  const compiler = new PolicyCompiler(document);
  return compiler.compile();
}

class PolicyCompiler {
  readonly #document: PolicyDocument;
  readonly #code = new CodeBuffer();
  readonly #painter = new StepPainter();
  readonly #verdicts: Verdict[] = [];
  readonly #conditions: TimeCondition[] = [];
  readonly #conditionNumbers = new Map<string, number>();

  constructor(document: PolicyDocument) {
    this.#document = document;
  }

  compile(): CompiledPolicy {
    const { clients, groups, metadata, defaultAction } = this.#document;
    const lists = new Map<PolicyClient | PolicyGroup, CompiledList>();
    for (const client of clients.values()) {
      if (client.enabled && client.rules.length > 0)
        lists.set(client, this.#compileList(client, `client ${client.name}`));
    }
    for (const group of groups.values()) {
      if (group.enabled && group.rules.length > 0) lists.set(group, this.#compileList(group, `group ${group.name}`));
    }
    const fallback = this.#addVerdict({
      action: defaultAction,
      ruleId: "default_action",
      reason: `no rule matches, and default_action is ${defaultAction}`,
      log: undefined,
    });
    const refusal = this.#addVerdict({
      action: "deny",
      ruleId: "client_disabled",
      reason: "the client is disabled or not in the policy",
      log: undefined,
    });
    const times = new TimeConditions(this.#conditions);
    const matcher = new Matcher(this.#code.finish(), times);
    const shared = { matcher, times, verdicts: this.#verdicts, fallback, refusal };
    const memberships = groupsByClient(this.#document);
    const compiled = new Map<string, ClientPolicy>();
    for (const client of clients.values()) {
      const active = (memberships.get(client.name) ?? []).filter(({ enabled }) => enabled);
      const mine = [client, ...active].flatMap((owner) => lists.get(owner) ?? []);
      compiled.set(
        client.name,
        new CompiledClient(client, firstLimits([client, ...active].map(({ limits }) => limits)), mine, shared),
      );
    }
    return new CompiledPolicy(metadata, refusal, compiled, this.#verdicts, times);
  }

  #compileList(owner: PolicyClient | PolicyGroup, ownerName: string): CompiledList {
    const destinations4: RuleDestination[] = [];
    const destinations6: RuleDestination[] = [];
    const rules = owner.rules.filter(({ enabled }) => enabled);
    const times = rules.map(({ time }) => this.#conditionNumber(time));
    for (const [index, rule] of rules.entries()) {
      const verdict = this.#addRuleVerdict(rule, ownerName);
      const entries = entriesOf(rule, decisionOf(verdict.index, rule.action === "allow"), times[index] ?? ALWAYS);
      for (const prefix of rule.destinations ?? ANY_PREFIXES) {
        (prefix.version === 4 ? destinations4 : destinations6).push({ prefix, entries });
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
    return { root4, root6, rules, times };
  }

  #conditionNumber(condition: TimeCondition | undefined): number {
    if (condition === undefined) return ALWAYS;
    const key = JSON.stringify(condition);
    const known = this.#conditionNumbers.get(key);
    if (known !== undefined) return known;
    this.#conditionNumbers.set(key, this.#conditions.length);
    return this.#conditions.push(condition) - 1;
  }

  #addRuleVerdict(rule: PolicyRule, ownerName: string): Verdict {
    const { action, id: ruleId, log } = rule;
    const reason = rule.reason ?? `rule ${ruleId} of ${ownerName}`;
    return this.#addVerdict({ action, ruleId, reason, log });
  }

  #addVerdict(verdict: Omit<Verdict, "index">): Verdict {
    const { action, ruleId, reason, log } = verdict;
    const indexed = { action, ruleId, reason, log, index: this.#verdicts.length };
    this.#verdicts.push(indexed);
    return indexed;
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
