/**
 * The policy in force: loaded whole, swapped whole, or left as it is.
 *
 *   file event, SIGHUP, admin ─▶ load and compile ─▶ wrong: refused, the old one stays
 *                                (policy thread)  └▶ right: generation + 1 ─▶ onSwap (sessions re-judge)
 *   a time condition flips ─▶ outlook (policy thread) ───────────────────────▶ onSwap
 *
 * Packets do not wait for the policy thread: what this one does takes as long for 100,000 rules as for ten.
 */
import { messageOf, ZgateError } from "../shared/errors.ts";
import { FileWatch } from "../shared/host/file-watch.ts";
import { CompiledPolicy } from "../shared/policy/compiled-policy.ts";
import type { Explanation, FlowQuestion } from "../shared/policy/explain.ts";
import { PolicyError } from "../shared/policy/problem.ts";
import { type UnixMs, unixMs } from "../shared/units.ts";
import { MAX_TIMER_MS } from "./constants.ts";
import { type Load, PolicyDesk } from "./policy-desk.ts";
import type { PolicyThread } from "./policy-thread.ts";

export type ReloadTrigger = "start" | "file" | "signal" | "admin";

/**
 * What happened to a reload. `changes`: what it changed, in sentences. `error` is what `PolicyDesk.load` rejected with;
 * then nothing changed.
 */
export type ReloadOutcome =
  | { readonly applied: true; readonly generation: number; readonly changes: readonly string[] }
  | { readonly applied: false; readonly generation: number; readonly error: unknown };

export interface LivePolicyEvents {
  /** The verdicts may have changed: by a new file, or because a time condition flipped. */
  onSwap(): void;
  /** A reload ended, either way. */
  onReload(trigger: ReloadTrigger, outcome: ReloadOutcome): void;
}

/** A policy that can be put in force. */
interface Ready {
  readonly policy: CompiledPolicy;
  readonly load: Load;
}

export class LivePolicy {
  readonly #path: string;
  readonly #desk: PolicyDesk;
  readonly #events: LivePolicyEvents;
  readonly #watch: FileWatch;
  #ready: Ready;
  #generation = 1;
  #running: Promise<ReloadOutcome> | undefined;
  #waiting: { readonly trigger: ReloadTrigger; readonly done: PromiseWithResolvers<ReloadOutcome> } | undefined;
  #flip: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(path: string, desk: PolicyDesk, ready: Ready, events: LivePolicyEvents) {
    this.#path = path;
    this.#desk = desk;
    this.#events = events;
    this.#ready = ready;
    this.#watch = new FileWatch(ready.load.files, () => void this.reload("file"));
    desk.adopt(ready.load);
    this.#armFlip(ready.load.outlook.next);
  }

  /** Rejects with `ZG_POLICY_*` when the first load fails: without a policy there is no relay. */
  static async open(path: string, thread: PolicyThread, events: LivePolicyEvents): Promise<LivePolicy> {
    const desk = new PolicyDesk(thread);
    try {
      return new LivePolicy(path, desk, readyOf(await desk.load(path)), events);
    } catch (error) {
      desk.close();
      throw error;
    }
  }

  get current(): CompiledPolicy {
    return this.#ready.policy;
  }

  /** What it was read from, absolute. */
  get files(): readonly string[] {
    return [...this.#ready.load.files.keys()];
  }

  /** Counts the policies that were in force, from 1. */
  get generation(): number {
    return this.#generation;
  }

  /** A ROUTE_ADVERTISEMENT of what a client of the policy in force may reach at a time. */
  routes(client: string, at: UnixMs): Promise<Uint8Array> {
    return this.#desk.routes(client, at);
  }

  /** Rejects with a `ZgateError` when the question is wrong. */
  explain(question: FlowQuestion, at: UnixMs): Promise<Explanation> {
    return this.#desk.explain(question, at);
  }

  /**
   * Loads the file again. While a reload runs, one more waits, for all who ask meanwhile: it begins after them, and so
   * sees what they mean, and has the trigger of the first.
   */
  reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    if (this.#running === undefined) return this.#start(trigger);
    this.#waiting ??= { trigger, done: Promise.withResolvers() };
    return this.#waiting.done.promise;
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
    clearTimeout(this.#flip);
    this.#desk.close();
  }

  #start(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    // After a reload whose listener failed, too: its caller was told.
    const run = this.#reload(trigger).finally(() => {
      this.#running = undefined;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.done.resolve(this.#start(waiting.trigger));
    });
    this.#running = run;
    return run;
  }

  async #reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    const outcome = await this.#replace();
    if (!this.#closed) this.#events.onReload(trigger, outcome);
    return outcome;
  }

  async #replace(): Promise<ReloadOutcome> {
    let ready: Ready;
    try {
      ready = readyOf(await this.#desk.load(this.#path));
      if (this.#closed) throw new ZgateError("ZG_POLICY_THREAD", "the relay is going down");
    } catch (error) {
      // What a refused policy includes is watched too: the file that is missing may be what comes next.
      if (error instanceof PolicyError && !this.#closed)
        this.#watch.follow(new Map([...this.#ready.load.files, ...error.files]));
      return { applied: false, generation: this.#generation, error };
    }
    this.#enforce(ready);
    return { applied: true, generation: this.#generation, changes: await this.#changes() };
  }

  /** All that can fail was done before: the policy is in force with everything that belongs to it. */
  #enforce(ready: Ready): void {
    this.#ready = ready;
    this.#generation++;
    this.#desk.adopt(ready.load);
    this.#watch.follow(ready.load.files);
    this.#armFlip(ready.load.outlook.next);
    this.#events.onSwap();
  }

  async #changes(): Promise<readonly string[]> {
    try {
      return await this.#desk.changes();
    } catch (error) {
      return [`what changed is not known: ${messageOf(error)}`];
    }
  }

  #armFlip(next: UnixMs | undefined): void {
    clearTimeout(this.#flip);
    if (next === undefined) return;
    const wait = Math.min(Math.max(0, next - Date.now()) + 1, MAX_TIMER_MS);
    this.#flip = setTimeout(() => (Date.now() >= next ? void this.#followTime() : this.#armFlip(next)), wait);
    this.#flip.unref();
  }

  /** A time condition flips: from now on verdicts are what they are at this time. */
  async #followTime(): Promise<void> {
    const { policy } = this.#ready;
    const now = unixMs(Date.now());
    const outlook = await this.#desk.outlook(now).catch(() => policy.outlook(now));
    if (this.#closed || this.#ready.policy !== policy) return;
    policy.follow(outlook.states);
    this.#armFlip(outlook.next);
    this.#events.onSwap();
  }
}

function readyOf(load: Load): Ready {
  const policy = new CompiledPolicy(load.image);
  policy.follow(load.outlook.states);
  return { policy, load };
}
