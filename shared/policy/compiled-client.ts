/** One client of a compiled policy: the rule lists that hold for it, asked one after the other. */
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import type { ClientPolicy, Verdict } from "./compiled-policy.ts";
import type { Limits } from "./document.ts";
import { NO_DECISION } from "./matcher-code.ts";
import type { Matcher } from "./matcher.ts";

export interface CompiledClientParts {
  readonly name: string;
  readonly enabled: boolean;
  readonly limits: Limits;
  /** Numbers of its rule lists. */
  readonly lists: readonly number[];
  /** The roots of their tries, by address family. */
  readonly roots4: readonly number[];
  readonly roots6: readonly number[];
}

/** What all clients of a policy have in common. */
export interface Shared {
  readonly matcher: Matcher;
  /** Decisions (`decisionOf`) where no rule decides, and on a client that is disabled. */
  readonly otherwise: number;
  readonly refused: number;
  verdict(index: number): Verdict;
}

export class CompiledClient implements ClientPolicy {
  readonly name: string;
  readonly enabled: boolean;
  readonly limits: Limits;
  readonly listKey: string;
  readonly #roots4: readonly number[];
  readonly #roots6: readonly number[];
  readonly #matcher: Matcher;
  readonly #refused: number;
  readonly #otherwise: number;
  readonly #shared: Shared;

  constructor({ name, enabled, limits, lists, roots4, roots6 }: CompiledClientParts, shared: Shared) {
    this.name = name;
    this.enabled = enabled;
    this.limits = limits;
    this.listKey = enabled ? lists.join() : "disabled";
    this.#roots4 = roots4;
    this.#roots6 = roots6;
    this.#matcher = shared.matcher;
    this.#refused = shared.refused;
    this.#otherwise = shared.otherwise;
    this.#shared = shared;
  }

  judge(target: FlowTarget, at: UnixMs): Verdict {
    return this.#shared.verdict(this.decide(target, at) >>> 1);
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
}
