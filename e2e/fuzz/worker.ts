/** Fuzzes parsers one after the other in a thread of their own, and posts a report about each. */
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { Campaign } from "./campaign.ts";
import { appendInput, CORPUS, readInputs } from "./corpus.ts";
import { Coverage } from "./coverage.ts";
import { LastInput } from "./last-input.ts";
import type { Parser } from "./parser.ts";

/** `workerData`. */
export interface Orders {
  /** Address of a module that exports `PARSERS`. */
  readonly parsers: string;
  /** Each parser gets so many inputs, or as many as fit into the time. */
  readonly budget: { readonly runs: number } | { readonly ms: number };
  /** Folder of inputs that an earlier run kept, and that this one adds to. */
  readonly kept: string | undefined;
  readonly seed: number;
  readonly lastInput: SharedArrayBuffer;
}

export interface Report {
  readonly name: string;
  readonly runs: number;
  /** Inputs that reached what none of the corpus did. */
  readonly kept: number;
  /** Characters of source that ran in this parser. */
  readonly covered: number;
}

const SOURCES = pathToFileURL(join(import.meta.dirname, "../../shared")).href;

async function obey({ parsers, budget, kept, seed, lastInput }: Orders): Promise<void> {
  const isOurs = (url: string): boolean => url.startsWith(SOURCES) || url === parsers;
  const coverage = new Coverage(isOurs);
  const module: { PARSERS: readonly Parser[] } = await import(parsers);
  const last = new LastInput(lastInput);
  for (const [index, parser] of module.PARSERS.entries()) {
    const corpus = readInputs(CORPUS, parser.name);
    if (kept !== undefined) corpus.push(...readInputs(kept, parser.name));
    let found = 0;
    const onKept = (input: Uint8Array): void => {
      found++;
      if (kept !== undefined) appendInput(kept, parser.name, input);
    };
    const onInput = (input: Uint8Array): void => last.note(index, input);
    const campaign = new Campaign({ parser, coverage, seed, onInput, onKept }, corpus);
    const end = performance.now() + ("ms" in budget ? budget.ms : 0);
    await campaign.run((runs) => ("runs" in budget ? runs >= budget.runs : performance.now() >= end));
    const report: Report = { name: parser.name, runs: campaign.runs, kept: found, covered: coverage.size };
    parentPort?.postMessage(report, []);
  }
  coverage.close();
}

await obey(workerData);
