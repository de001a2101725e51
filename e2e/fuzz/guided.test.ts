/** The parsers under coverage guidance, a fixed number of inputs each; `make fuzz` takes its time. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fuzzGuided } from "./guided.ts";
import { PARSERS } from "./parsers.ts";
import { PARSERS as PLANTED } from "./planted.ts";
import type { Report } from "./worker.ts";

/** A few seconds in all. */
const RUNS = 1_000;
/** Far more than guidance needs, and nothing beside the 2^32 of blind luck. */
const PLANTED_RUNS = 1_000_000;
/** The planted parser takes nanoseconds, so one that is away for so long is stuck. */
const HANG_MS = 1_000;

const MODULE = new URL("parsers.ts", import.meta.url);
/** zgat */
const INPUT = "7a676174";

describe("coverage-guided fuzzing", () => {
  test("finds nothing in the parsers", async () => {
    const reports: Report[] = [];
    const onReport = (report: Report): void => void reports.push(report);
    await fuzzGuided({ module: MODULE, parsers: PARSERS, budget: { runs: RUNS }, onReport });
    assert.deepEqual(
      reports.map(({ name }) => name),
      PARSERS.map(({ name }) => name),
    );
    for (const { name, runs, covered } of reports) {
      assert.ok(runs >= RUNS, `${name}: ${runs} runs`);
      assert.ok(covered > 0, `${name}: nothing covered`);
    }
  });

  const faults = [
    { kind: "throw", limits: {}, finding: new RegExp(`planted, ${INPUT}: RangeError: planted`) },
    { kind: "hang", limits: { hangMs: HANG_MS }, finding: new RegExp(`within ${HANG_MS} ms; .* planted: ${INPUT}`) },
    { kind: "memory", limits: {}, finding: new RegExp(`ERR_WORKER_OUT_OF_MEMORY.* planted: ${INPUT}`) },
  ];
  for (const { kind, limits, finding } of faults) {
    test(`comes to a planted fault: ${kind}`, async () => {
      const module = new URL(`planted.ts?${kind}`, import.meta.url);
      const parts = { module, parsers: PLANTED, budget: { runs: PLANTED_RUNS }, onReport: () => {} };
      await assert.rejects(fuzzGuided({ ...parts, ...limits }), finding);
    });
  }
});
