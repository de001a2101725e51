/**
 * A policy that judges flows: the face of a `PolicyImage`. What is made of its columns (a client, a verdict's texts)
 * is made when it is first asked for, and kept.
 */
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import { CompiledClient, type Shared } from "./compiled-client.ts";
import type { Action, Limits } from "./document.ts";
import { decisionOf } from "./matcher-code.ts";
import { Matcher } from "./matcher.ts";
import {
  type PolicyImage,
  VERDICT_ALLOWS,
  VERDICT_HAS_LOG,
  VERDICT_LOGS,
  VERDICT_UNEXPLAINED,
} from "./policy-image.ts";
import { Texts } from "./text-columns.ts";
import { TimeConditions, type TimeOutlook, type TimeStates } from "./time-conditions.ts";

/** What the policy says to a flow. One object a rule. */
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
  /** The same for clients of one policy for whom the same rules hold. */
  readonly listKey: string;
  /** Judges a flow at a time: one of the policy's verdicts. Allocates nothing for a verdict that was given before. */
  judge(target: FlowTarget, at: UnixMs): Verdict;
  /** The same as one number, `decisionOf(verdict.index, allow)`: without looking at the verdict's object. */
  decide(target: FlowTarget, at: UnixMs): number;
}

export class CompiledPolicy {
  readonly image: PolicyImage;
  readonly #names: Texts;
  readonly #texts: Texts;
  readonly #hosts: Texts;
  readonly #times: TimeConditions;
  readonly #shared: Shared;
  readonly #clients = new Map<number, ClientPolicy>();
  readonly #verdicts = new Map<number, Verdict>();

  constructor(image: PolicyImage) {
    this.image = image;
    this.#names = new Texts(image.clients.names);
    this.#texts = new Texts(image.verdicts.texts);
    this.#hosts = new Texts(image.hosts);
    this.#times = new TimeConditions(image.times);
    const fallback = this.#refusalIndex - 1;
    this.#shared = {
      matcher: new Matcher(image.code, this.#times),
      otherwise: decisionOf(fallback, ((image.verdicts.flags[fallback] ?? 0) & VERDICT_ALLOWS) !== 0),
      refused: decisionOf(this.#refusalIndex, false),
      verdict: (index) => this.verdict(index),
    };
  }

  /** Undefined: the policy does not know the client, who is to be refused. */
  client(name: string): ClientPolicy | undefined {
    const number = this.#names.numberOf(name);
    if (number < 0) return undefined;
    const known = this.#clients.get(number);
    if (known !== undefined) return known;
    const client = this.#clientOf(number, name);
    this.#clients.set(number, client);
    return client;
  }

  *clientNames(): Iterable<string> {
    for (let number = 0; number < this.#names.size; number++) yield this.#names.at(number);
  }

  /** The verdict on whom the policy does not know or has disabled. */
  get refusal(): Verdict {
    return this.verdict(this.#refusalIndex);
  }

  /** The verdict with that `index`; the refusal when there is none. */
  verdict(index: number): Verdict {
    const known = this.#verdicts.get(index);
    if (known !== undefined) return known;
    if (index < 0 || index > this.#refusalIndex) return this.refusal;
    const verdict = this.#verdictOf(index);
    this.#verdicts.set(index, verdict);
    return verdict;
  }

  /** Whether rules allow addresses that they name alone. */
  get namesHosts(): boolean {
    return this.#hosts.size > 0;
  }

  /** Whether a rule allows this address, as text, and names it alone. */
  names(address: string): boolean {
    return this.#hosts.numberOf(address) >= 0;
  }

  /** The next time after `at` at which a verdict may change without a new policy. */
  nextChangeAfter(at: UnixMs): UnixMs | undefined {
    return this.#times.nextChangeAfter(at);
  }

  /** The states of all time conditions at a time, for the thread in which the policy judges to `follow`. */
  outlook(at: UnixMs): TimeOutlook {
    return this.#times.outlook(at);
  }

  follow(states: TimeStates): void {
    this.#times.follow(states);
  }

  get #refusalIndex(): number {
    return this.image.verdicts.flags.length - 1;
  }

  #clientOf(number: number, name: string): ClientPolicy {
    const { roots, clients } = this.image;
    const lists = [...clients.lists.subarray(clients.listEnds[number - 1] ?? 0, clients.listEnds[number])];
    const limit = (which: number): number | undefined => {
      const value = clients.limits[3 * number + which];
      return value === undefined || Number.isNaN(value) ? undefined : value;
    };
    return new CompiledClient(
      {
        name,
        enabled: clients.enabled[number] === 1,
        limits: { maxSessions: limit(0), upBitsPerSecond: limit(1), downBitsPerSecond: limit(2) },
        lists,
        roots4: lists.map((list) => roots[2 * list] ?? 0),
        roots6: lists.map((list) => roots[2 * list + 1] ?? 0),
      },
      this.#shared,
    );
  }

  #verdictOf(index: number): Verdict {
    const { flags, ids, reasons } = this.image.verdicts;
    const bits = flags[index] ?? 0;
    const ruleId = this.#texts.at(ids[index] ?? 0);
    const text = this.#texts.at(reasons[index] ?? 0);
    return {
      action: (bits & VERDICT_ALLOWS) === 0 ? "deny" : "allow",
      ruleId,
      reason: (bits & VERDICT_UNEXPLAINED) === 0 ? text : `rule ${ruleId} of ${text}`,
      log: (bits & VERDICT_HAS_LOG) === 0 ? undefined : (bits & VERDICT_LOGS) !== 0,
      index,
    };
  }
}
