/**
 * Runs everything that CI runs, stage by stage, and closes with a summary and the line `N passed, N failed`.
 *
 *   1. a stage is a command; its output passes through as it comes
 *   2. its tests are counted from the closing lines of its runner; a check that counts none is one test
 *   3. a stage that ends badly has failed at least one test, whatever it counted
 *
 * `node tools/test-all.ts [STAGE…]` runs only the named stages. The exit code is 1 when anything failed.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { addTallies, describeTally, NO_TESTS, tallyOf, type Tally } from "./closing-lines.ts";

interface Stage {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** The stage runs tests: one that counted none has failed. */
  readonly counts?: true;
  /** Why the stage cannot run here, if it cannot: it is shown, and counted as skipped. */
  readonly unavailable?: () => string | undefined;
}

interface StageResult {
  readonly name: string;
  readonly tally: Tally;
  readonly seconds: number;
  readonly note: string;
}

const ROOT = join(import.meta.dirname, "..");

const STAGES: readonly Stage[] = [
  { name: "fmt", command: ["make", "fmt-check"] },
  { name: "lint", command: ["make", "lint"] },
  { name: "types", command: ["make", "types"] },
  { name: "knip", command: ["make", "knip"] },
  { name: "imports", command: ["make", "imports"] },
  { name: "clippy", command: ["make", "clippy"] },
  { name: "native", command: ["make", "test-native"], counts: true },
  { name: "unit", command: ["make", "test-unit"], counts: true },
  { name: "interop", command: ["make", "interop"], counts: true },
  { name: "e2e-netns", command: ["make", "e2e-netns"], unavailable: whyNoNamespaces },
  { name: "e2e-compose", command: ["make", "e2e-compose"], unavailable: whyNoEngine },
];

function whyNoNamespaces(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root: network namespaces, TUN devices and nft";
  return existsSync("/dev/net/tun") ? undefined : "needs /dev/net/tun";
}

function whyNoEngine(): string | undefined {
  return spawnSync("docker", ["info"], { stdio: "ignore" }).status === 0 ? undefined : "no Docker engine answers here";
}

async function runStage(stage: Stage): Promise<StageResult> {
  const why = stage.unavailable?.();
  if (why !== undefined) {
    return { name: stage.name, tally: { ...NO_TESTS, skipped: 1 }, seconds: 0, note: `skipped: ${why}` };
  }
  console.log(`\n━━ ${stage.name}: ${stage.command.join(" ")}`);
  const started = performance.now();
  const { code, output } = await runThrough(stage.command);
  const seconds = (performance.now() - started) / 1000;
  const counted = tallyOf(output);
  const ran = counted.passed + counted.failed;
  if (code !== 0) {
    const tally = { ...counted, failed: Math.max(counted.failed, 1) };
    return { name: stage.name, tally, seconds, note: `exit code ${code}` };
  }
  if (stage.counts && ran === 0) {
    return { name: stage.name, tally: { ...counted, failed: 1 }, seconds, note: "ran no test" };
  }
  return { name: stage.name, tally: ran === 0 ? { ...counted, passed: 1 } : counted, seconds, note: "" };
}

/** Runs a command with its output passed through and kept. A signal counts as exit code 1. */
function runThrough(command: readonly [string, ...string[]]): Promise<{ code: number; output: string }> {
  const [program, ...args] = command;
  const env = process.stdout.isTTY ? { ...process.env, FORCE_COLOR: "1" } : process.env;
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
  const pieces: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => {
    pieces.push(piece);
    process.stdout.write(piece);
  });
  child.stderr.on("data", (piece: Buffer) => process.stderr.write(piece));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output: Buffer.concat(pieces).toString("utf8") }));
  });
}

function summary(results: readonly StageResult[]): string {
  const rows = results.map(({ name, tally, seconds, note }) => {
    const mark = tally.failed > 0 ? "✘" : note.startsWith("skipped") ? "○" : "✔";
    return `  ${mark} ${name.padEnd(12)} ${describeTally(tally).padEnd(36)} ${seconds.toFixed(1).padStart(7)} s  ${note}`;
  });
  return ["", "━━ summary", ...rows.map((row) => row.trimEnd()), ""].join("\n");
}

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => STAGES.every((stage) => stage.name !== name));
if (unknown !== undefined) {
  console.error(`no stage is called "${unknown}"; there are: ${STAGES.map((stage) => stage.name).join(", ")}`);
  process.exit(2);
}
const results: StageResult[] = [];
for (const stage of STAGES) {
  if (wanted.length === 0 || wanted.includes(stage.name)) results.push(await runStage(stage));
}
const total = results.reduce((sum, { tally }) => addTallies(sum, tally), NO_TESTS);
console.log(summary(results));
console.log(describeTally(total));
process.exitCode = total.failed > 0 ? 1 : 0;
