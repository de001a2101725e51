/**
 * The policy in force: loaded whole, swapped whole, or left as it is.
 *
 *   file event, SIGHUP, admin ─▶ load and compile ─▶ wrong: refused, the old one stays
 *                                                └▶ right: generation + 1 ─▶ onSwap (sessions re-judge)
 *   a time condition flips ────────────────────────────────────────▶ onSwap
 */
import { FileWatch } from "../shared/host/file-watch.ts";
import type { CompiledPolicy } from "../shared/policy/compile.ts";
import type { PolicyDocument } from "../shared/policy/document.ts";
import { type LoadedPolicy, loadPolicyFile } from "../shared/policy/load.ts";
import { PolicyError } from "../shared/policy/problem.ts";
import { type UnixMs, unixMs } from "../shared/units.ts";
import { MAX_TIMER_MS } from "./constants.ts";

export type ReloadTrigger = "start" | "file" | "signal" | "admin";

/** What happened to a reload. `error` is what `loadPolicyFile` threw; then nothing changed. */
export type ReloadOutcome =
  | { readonly applied: true; readonly generation: number; readonly previous: LoadedPolicy }
  | { readonly applied: false; readonly generation: number; readonly error: unknown };

export interface LivePolicyEvents {
  /** The verdicts may have changed: by a new file, or because a time condition flipped. */
  onSwap(): void;
  /** A reload ended, either way. */
  onReload(trigger: ReloadTrigger, outcome: ReloadOutcome): void;
}

export class LivePolicy {
  readonly #path: string;
  readonly #events: LivePolicyEvents;
  readonly #watch: FileWatch;
  #loaded: LoadedPolicy;
  #generation = 1;
  #reloading: Promise<ReloadOutcome> | undefined;
  #flip: NodeJS.Timeout | undefined;

  private constructor(path: string, loaded: LoadedPolicy, events: LivePolicyEvents) {
    this.#path = path;
    this.#loaded = loaded;
    this.#events = events;
    this.#watch = new FileWatch(loaded.files, () => void this.reload("file"));
    this.#armFlip();
  }

  /** Rejects with `ZG_POLICY_*` when the first load fails: without a policy there is no relay. */
  static async open(path: string, events: LivePolicyEvents): Promise<LivePolicy> {
    return new LivePolicy(path, await loadPolicyFile(path), events);
  }

  get current(): CompiledPolicy {
    return this.#loaded.policy;
  }

  /** What it was compiled from, for explanations and comparisons. */
  get document(): PolicyDocument {
    return this.#loaded.document;
  }

  /** What it was read from, absolute. */
  get files(): readonly string[] {
    return this.#loaded.files;
  }

  /** Counts the policies that were in force, from 1. */
  get generation(): number {
    return this.#generation;
  }

  /** Loads the file again. Reloads run one after another; the last one sees the last file. */
  reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    // After one that failed, too: its caller was told.
    const before = Promise.allSettled([this.#reloading]);
    const run = before.then(() => this.#reload(trigger));
    this.#reloading = run;
    return run;
  }

  close(): void {
    this.#watch.close();
    clearTimeout(this.#flip);
  }

  async #reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    let outcome: ReloadOutcome;
    try {
      const loaded = await loadPolicyFile(this.#path);
      const previous = this.#loaded;
      this.#loaded = loaded;
      this.#generation++;
      this.#watch.follow(loaded.files);
      this.#swap();
      outcome = { applied: true, generation: this.#generation, previous };
    } catch (error) {
      // What a refused policy includes is watched too: the file that is missing may be what comes next.
      if (error instanceof PolicyError) this.#watch.follow([...new Set([...this.#loaded.files, ...error.files])]);
      outcome = { applied: false, generation: this.#generation, error };
    }
    this.#events.onReload(trigger, outcome);
    return outcome;
  }

  #swap(): void {
    this.#armFlip();
    this.#events.onSwap();
  }

  #armFlip(): void {
    clearTimeout(this.#flip);
    const now = unixMs(Date.now());
    const next: UnixMs | undefined = this.#loaded.policy.nextChangeAfter(now);
    if (next === undefined) return;
    const wait = Math.min(next - now + 1, MAX_TIMER_MS);
    this.#flip = setTimeout(() => (Date.now() >= next ? this.#swap() : this.#armFlip()), wait);
    this.#flip.unref();
  }
}
