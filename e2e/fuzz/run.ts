/**
 * Coverage-guided fuzzing of every parser, each for its share of the time. What reached something new is kept in
 * bench/out/fuzz, so a later run begins there; a line of it that is worth keeping moves to e2e/fuzz/corpus. The exit code is
 * 1 when there is a finding.
 *
 *   node e2e/fuzz/run.ts --seconds 600
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fuzzGuided } from "./guided.ts";
import { PARSERS } from "./parsers.ts";

const KEPT = join(import.meta.dirname, "../../bench/out/fuzz");

const { values } = parseArgs({ options: { seconds: { type: "string", default: "600" } } });
const seconds = Number(values.seconds);
if (!(seconds > 0)) {
  console.error(`fuzz: --seconds ${values.seconds}: expected a number above 0`);
  process.exit(2);
}
try {
  await fuzzGuided({
    module: new URL("parsers.ts", import.meta.url),
    parsers: PARSERS,
    budget: { ms: (seconds * 1000) / PARSERS.length },
    kept: KEPT,
    onReport: ({ name, runs, kept, covered }) => {
      console.log(`fuzz: ${name.padEnd(20)} ${runs} inputs, ${kept} new kept, ${covered} characters of source covered`);
    },
  });
} catch (error) {
  console.error(`fuzz: a finding: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
