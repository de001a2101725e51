/** The log of a real process on what standard error is in real life, with a reader that stops. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";

/** More than a pipe or socket takes and the queue holds, by far. */
const LINES = 40_000;
/** Logs LINES lines, says `done` with the longest call on standard output, and goes on until it is told to end. */
const PROGRAM = `
import { createLogger, lostLogLines } from ${JSON.stringify(new URL("logging.ts", import.meta.url).href)};
const log = createLogger({ level: "info", name: "test" });
process.on("message", () => {});
process.once("SIGTERM", () => { log.info("the end"); process.exit(0); });
let longest = 0;
for (let line = 0; line < ${LINES}; line++) {
  const before = performance.now();
  log.info({ line }, "a line that is about as long as those that a relay writes about a session of a client");
  longest = Math.max(longest, performance.now() - before);
}
console.log(JSON.stringify({ longest, lost: lostLogLines() }));
`;
/** A call that waits for the reader would take for ever; this one allows for a machine that does something else. */
const LONGEST_MS = 1_000;

interface Report {
  readonly longest: number;
  readonly lost: number;
}

function start(t: TestContext, stderr: number | "pipe"): ChildProcess {
  const argv = ["--input-type=module", "--eval", PROGRAM];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", stderr, "ipc"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function report(child: ChildProcess): Promise<Report> {
  assert.ok(child.stdout !== null);
  const [chunk] = (await once(child.stdout, "data")) as [Buffer];
  return JSON.parse(chunk.toString()) as Report;
}

/** Each line once and in order, but for those that a line says were lost. */
function checkLines(text: string, lost: number): void {
  const records = text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as { line?: number; lines?: number; msg: string });
  let next = 0;
  let told = 0;
  for (const { line, lines } of records) {
    if (line !== undefined) assert.equal(line, next++);
    else if (lines !== undefined) {
      next += lines;
      told += lines;
    }
  }
  assert.equal(next, LINES);
  assert.equal(told, lost);
  assert.equal(records.at(-1)?.msg, "the end");
}

suite("standard error, and a reader that stops", { timeout: 60_000 }, () => {
  test("a pipe: nothing waits, and what is kept comes in order when it reads again", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "zgate-log-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    t.after(() => closeSync(reader));
    const child = start(t, writer);
    closeSync(writer);
    const { longest, lost } = await report(child);
    assert.ok(longest < LONGEST_MS, `a line took ${longest} ms`);
    assert.ok(lost > 0 && lost < LINES, `${lost} lost`);
    const text = await readAll(reader, child);
    checkLines(text, lost);
  });

  test("a socket, as journald's: the same", async (t) => {
    const child = start(t, "pipe");
    const { stderr } = child;
    assert.ok(stderr !== null);
    const { longest, lost } = await report(child);
    assert.ok(longest < LONGEST_MS, `a line took ${longest} ms`);
    assert.ok(lost > 0 && lost < LINES, `${lost} lost`);
    let text = "";
    stderr.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("log lines were lost")) child.kill("SIGTERM");
    });
    await once(child, "close");
    checkLines(text, lost);
  });

  test("a reader that never comes back does not keep the process from its end", async (t) => {
    const child = start(t, "pipe");
    await report(child);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  test("a file has every line", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "zgate-log-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "log");
    const file = openSync(path, "w");
    const child = start(t, file);
    closeSync(file);
    const { lost } = await report(child);
    assert.equal(lost, 0);
    child.kill("SIGTERM");
    await once(child, "exit");
    checkLines(readFileSync(path, "utf8"), 0);
  });
});

/** Reads to the end of a pipe whose writer is told to end once it has said what is lost. */
async function readAll(fd: number, child: ChildProcess): Promise<string> {
  const bytes = Buffer.alloc(64 * 1024);
  let text = "";
  for (;;) {
    let length: number;
    try {
      length = readSync(fd, bytes);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
      await new Promise((resolve) => setTimeout(resolve, 1));
      continue;
    }
    if (length === 0) return text;
    text += bytes.toString("latin1", 0, length);
    if (text.includes("log lines were lost")) child.kill("SIGTERM");
  }
}
