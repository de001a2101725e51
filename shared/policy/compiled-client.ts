/** One client of a compiled policy: the rule lists that hold for it, asked one after the other. */
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import type { ClientPolicy, Verdict } from "./compile.ts";
import type { Limits, PolicyClient, PolicyRule } from "./document.ts";
import { ALWAYS, decisionOf, NO_DECISION } from "./matcher-code.ts";
import type { Matcher } from "./matcher.ts";
import { type Route, routesOf } from "./routes.ts";
import type { TimeConditions } from "./time-conditions.ts";

/** A rule list in the matcher's code: the roots of its IPv4 and IPv6 tries. */
export interface CompiledList {
  readonly root4: number;
  readonly root6: number;
  readonly rules: readonly PolicyRule[];
  /** The time condition of each rule, as its number. */
  readonly times: readonly number[];
}

/** What all clients of a policy have in common. */
export interface Shared {
  readonly matcher: Matcher;
  readonly times: TimeConditions;
  readonly verdicts: readonly Verdict[];
  readonly fallback: Verdict;
  readonly refusal: Verdict;
}

export class CompiledClient implements ClientPolicy {
  readonly name: string;
  readonly enabled: boolean;
  readonly limits: Limits;
  readonly #roots4: readonly number[];
  readonly #roots6: readonly number[];
  readonly #lists: readonly CompiledList[];
  readonly #matcher: Matcher;
  readonly #refused: number;
  readonly #otherwise: number;
  readonly #shared: Shared;

  constructor(client: PolicyClient, limits: Limits, lists: readonly CompiledList[], shared: Shared) {
    this.name = client.name;
    this.enabled = client.enabled;
    this.limits = limits;
    this.#roots4 = lists.map(({ root4 }) => root4);
    this.#roots6 = lists.map(({ root6 }) => root6);
    this.#lists = lists;
    this.#matcher = shared.matcher;
    this.#refused = decisionOf(shared.refusal.index, false);
    this.#otherwise = decisionOf(shared.fallback.index, shared.fallback.action === "allow");
    this.#shared = shared;
  }

  judge(target: FlowTarget, at: UnixMs): Verdict {
    const { verdicts, refusal } = this.#shared;
    return verdicts[this.decide(target, at) >>> 1] ?? refusal;
  }

  decide(target: FlowTarget, at: UnixMs): number {
    if (!this.enabled) return this.#refused;
    const roots = target.version === 4 ? this.#roots4 : this.#roots6;
    for (const root of roots) {
      const decision = this.#matcher.match(root, target, at);
      if (decision !== NO_DECISION) return decision;
    }
    return this.#otherwise;
  }

  routes(at: UnixMs): readonly Route[] {
    if (!this.enabled) return [];
    const { fallback, times } = this.#shared;
    const inForce = this.#lists.flatMap((list) =>
      list.rules.filter((_, index) => {
        const time = list.times[index] ?? ALWAYS;
        return time === ALWAYS || times.active(time, at);
      }),
    );
    return routesOf(inForce, fallback.action);
  }
}
