/**
 * Which parts of our sources ran, from V8's precise block coverage of this thread. A part is a character of a source
 * file: V8 joins neighbouring blocks that ran alike, so blocks have no identity, but characters have.
 */
import { Session } from "node:inspector";
import type { Profiler } from "node:inspector";

/** By the script's address: 1 for each character that ran. */
export type Ran = ReadonlyMap<string, Uint8Array>;

export class Coverage {
  readonly #session = new Session();
  readonly #isOurs: (url: string) => boolean;
  /** What ran since `forget`, as far as `add` was asked to remember it. */
  readonly #seen = new Map<string, Uint8Array>();
  #size = 0;

  /** Begins to count, in functions that are compiled from now on: before the sources in question are imported. */
  constructor(isOurs: (url: string) => boolean) {
    this.#isOurs = isOurs;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    // With counts, because without them V8 says nothing about functions that it has optimised.
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Characters that are remembered. */
  get size(): number {
    return this.#size;
  }

  /** What ran since the last call. */
  take(): Ran {
    const ran = new Map<string, Uint8Array>();
    this.#session.post("Profiler.takePreciseCoverage", (error, answer) => {
      if (error !== null) throw error;
      for (const { url, functions } of answer.result) if (this.#isOurs(url)) ran.set(url, charactersOf(functions));
    });
    return ran;
  }

  /** Whether some of it is not remembered. */
  isNew(ran: Ran): boolean {
    for (const [url, characters] of ran) {
      const seen = this.#seen.get(url);
      if (characters.some((did, at) => did === 1 && seen?.[at] !== 1)) return true;
    }
    return false;
  }

  /** Remembers what ran. */
  add(ran: Ran): void {
    for (const [url, characters] of ran) {
      const old = this.#seen.get(url) ?? new Uint8Array(0);
      const seen = old.length >= characters.length ? old : new Uint8Array(characters.length);
      if (seen !== old) seen.set(old);
      for (const [at, did] of characters.entries()) {
        if (did === 0 || seen[at] === 1) continue;
        seen[at] = 1;
        this.#size++;
      }
      this.#seen.set(url, seen);
    }
  }

  /** Remembers nothing, as at the beginning. */
  forget(): void {
    this.#seen.clear();
    this.#size = 0;
  }

  close(): void {
    this.#session.post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }
}

/** Functions come outer first, and so do the ranges of each: an inner one says what is so within the outer one. */
function charactersOf(functions: readonly Profiler.FunctionCoverage[]): Uint8Array {
  const end = Math.max(...functions.map(({ ranges }) => ranges[0]?.endOffset ?? 0));
  const characters = new Uint8Array(end);
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) characters.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  }
  return characters;
}
