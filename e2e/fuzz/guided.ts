/**
 * Coverage-guided fuzzing of parsers: a worker runs them, this thread watches that it goes on.
 *
 * A finding is a rejection: a throw that is no refusal, a property that does not hold, an input that a parser does not
 * come back from, or that it runs out of memory over. It says the parser and the input.
 */
import { Worker } from "node:worker_threads";
import { LastInput } from "./last-input.ts";
import type { Parser } from "./parser.ts";
import type { Orders, Report } from "./worker.ts";

/** An input takes microseconds; a machine may be busy. */
const HANG_MS = 10_000;
const MAX_HEAP_MB = 256;

export interface GuidedOptions {
  /** Module that exports `PARSERS`. */
  readonly module: URL;
  /** The same, to name one by its number. */
  readonly parsers: readonly Parser[];
  readonly budget: Orders["budget"];
  readonly kept?: string;
  readonly hangMs?: number;
  /** Called after each parser. */
  readonly onReport: (report: Report) => void;
}

export async function fuzzGuided(options: GuidedOptions): Promise<void> {
  const { module, parsers, budget, kept, hangMs = HANG_MS, onReport } = options;
  const last = new LastInput();
  const seed = Math.floor(Math.random() * 2 ** 32);
  const orders: Orders = { parsers: module.href, budget, kept, seed, lastInput: last.memory };
  const worker = new Worker(new URL("worker.ts", import.meta.url), {
    workerData: orders,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const end = Promise.withResolvers<void>();
  const fail = (what: string, cause?: unknown): void => {
    const name = parsers[last.parser]?.name ?? "no parser";
    const input = Buffer.from(last.input).toString("hex");
    end.reject(new Error(`${what}; the last input was of ${name}: ${input}`, { cause }));
  };
  let seen = last.count;
  const watch = setInterval(() => {
    if (seen > 0 && seen === last.count) fail(`no input came to its end within ${hangMs} ms`);
    seen = last.count;
  }, hangMs);
  worker.on("message", onReport);
  worker.on("error", (error) => fail(String(error), error));
  worker.on("exit", (code) => (code === 0 ? end.resolve() : fail(`the worker ended with ${code}`)));
  try {
    await end.promise;
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}
