/**
 * Fuzzing until the time is up or something is found, round after round:
 *
 *   1. every test file with properties, with fresh random inputs (fast-check picks a new seed whenever none is given)
 *   2. the tests in Rust, which change their inputs in the same way, with more of them
 *   3. every parser under coverage guidance (e2e/fuzz/run.ts), which goes on from what the rounds before have kept
 *
 * What failed is printed with the smallest input, to be turned into a line of a table or of e2e/fuzz/corpus.
 *
 *   node tools/fuzz.ts --seconds 3600
 */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** How many times as many inputs as in `make test` (native/src/fuzz.rs). */
const NATIVE_FACTOR = 100;
/** Seconds of guidance a round: some for each of two dozen parsers. */
const GUIDED_SECONDS = 100;

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
const secondsLeft = (): number => Math.max(0, Math.round((end - performance.now()) / 1000));

let round = 0;
while (round === 0 || secondsLeft() > 0) {
  round++;
  const properties = spawnSync(process.execPath, ["--test", ...files], { cwd: root, encoding: "utf8" });
  if (properties.status !== 0) {
    process.stdout.write(properties.stdout.slice(properties.stdout.indexOf("failing tests")));
    stop();
  }
  console.log(`fuzz: round ${round}: ${files.length} files without a finding, ${secondsLeft()} s left`);
  const native = ["test", "--release", "--locked", "--features", "test-program"];
  const rust = spawnSync("cargo", [...native, "--manifest-path", "native/Cargo.toml"], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ZGATE_FUZZ_FACTOR: String(NATIVE_FACTOR) },
  });
  if (rust.status !== 0) {
    process.stdout.write(rust.error?.message ?? rust.stdout + rust.stderr);
    stop();
  }
  console.log(`fuzz: round ${round}: Rust without a finding, ${secondsLeft()} s left`);
  const share = Math.min(GUIDED_SECONDS, Math.max(1, secondsLeft()));
  const guided = spawnSync(process.execPath, ["e2e/fuzz/run.ts", "--seconds", String(share)], {
    cwd: root,
    stdio: "inherit",
  });
  if (guided.status !== 0) stop();
}
console.log(`${round} passed, 0 failed`);

function stop(): never {
  console.error(`fuzz: round ${round} found something`);
  process.exit(1);
}
