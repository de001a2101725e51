/**
 * Runs every test file with properties again and again, each round with fresh random inputs (fast-check picks a
 * new seed whenever none is given), until the time is up or one fails. What failed is printed by its test with
 * the seed and the smallest input, to be turned into a line of a table.
 *
 *   node tools/fuzz.ts --seconds 3600
 */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({ options: { seconds: { type: "string", default: "3600" } } });
const seconds = Number(values.seconds);
if (!(seconds > 0)) {
  console.error(`fuzz: --seconds ${values.seconds}: expected a number above 0`);
  process.exit(2);
}

const files = globSync("{shared,agent,relay,cli,e2e/fuzz}/**/*.test.ts", { cwd: root }).filter((file) =>
  readFileSync(join(root, file), "utf8").includes(`from "fast-check"`),
);
const end = performance.now() + seconds * 1000;
let round = 0;
while (round === 0 || performance.now() < end) {
  round++;
  const done = spawnSync(process.execPath, ["--test", ...files], { cwd: root, encoding: "utf8" });
  if (done.status !== 0) {
    process.stdout.write(done.stdout.slice(done.stdout.indexOf("failing tests")));
    console.error(`fuzz: round ${round} found something`);
    process.exit(1);
  }
  const left = Math.max(0, Math.round((end - performance.now()) / 1000));
  console.log(`fuzz: round ${round}: ${files.length} files without a finding, ${left} s left`);
}
console.log(`${round} passed, 0 failed`);
