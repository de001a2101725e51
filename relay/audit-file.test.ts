import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { rotatedFiles } from "./audit-file.ts";
import { DENIED, DOWN, FLOW, REFUSAL, UP } from "./audit-fixture.ts";
import { readLines } from "./audit-lines.ts";
import { AuditLog } from "./audit-log.ts";
import { type AuditRecord, parseAuditLine } from "./audit-record.ts";
import { type ChainReport, ChainVerifier } from "./audit-verify.ts";

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "zgate-audit-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

const open = (path: string, maxBytes = 1_000_000, keep = 100): Promise<AuditLog> =>
  AuditLog.open({ path, version: "0.1.0", failClosed: false, maxBytes, keep });

async function writeRun(path: string, flows: number, maxBytes?: number, keep?: number): Promise<void> {
  const log = await open(path, maxBytes, keep);
  for (let index = 0; index < flows; index++) log.flow(FLOW);
  await log.close();
}

async function verify(path: string): Promise<ChainReport> {
  const verifier = new ChainVerifier();
  for (const file of [...(await rotatedFiles(path)), path]) {
    for await (const line of readLines(file)) verifier.add(line);
  }
  return verifier.report();
}

async function records(path: string): Promise<AuditRecord[]> {
  const lines = (await readFile(path, "utf8")).split("\n").slice(0, -1);
  return lines.map((line) => {
    const parsed = parseAuditLine(line);
    assert.ok(parsed.ok, line);
    return parsed.record;
  });
}

test("every kind of record is written as its schema says, one chain, readable by the owner only", async (t) => {
  const path = join(await folder(t), "audit.jsonl");
  const log = await open(path);
  log.policy({
    outcome: "applied",
    trigger: "start",
    generation: 1,
    files: ["policy.yaml"],
    changes: [],
    problems: [],
  });
  log.sessionUp(UP);
  log.flow(FLOW);
  log.flow({ ...DENIED, shadow: { action: "allow", rule: "new" } });
  log.refusal(REFUSAL);
  log.sessionDown(DOWN);
  await log.close();
  assert.deepEqual(
    (await records(path)).map(({ seq, type, level }) => [seq, type, level]),
    [
      [1, "open", "info"],
      [2, "policy", "info"],
      [3, "session-up", "info"],
      [4, "flow", "info"],
      [5, "flow", "warn"],
      [6, "refusal", "warn"],
      [7, "session-down", "info"],
      [8, "close", "info"],
    ],
  );
  const report = await verify(path);
  assert.ok(report.ok);
  assert.deepEqual(report.last, log.stats().head);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("the chain goes on after a restart", async (t) => {
  const path = join(await folder(t), "audit.jsonl");
  await writeRun(path, 2);
  await writeRun(path, 2);
  const opened = (await records(path)).filter((record) => record.type === "open");
  assert.deepEqual(
    opened.map(({ seq, before }) => [seq, before]),
    [
      [1, "new"],
      [5, "clean"],
    ],
  );
  assert.deepEqual(await verify(path).then(({ ok, records }) => ({ ok, records })), { ok: true, records: 8 });
});

test("cut anywhere, as a crash does it, the chain goes on and says so", async (t) => {
  const path = join(await folder(t), "audit.jsonl");
  await writeRun(path, 2);
  const whole = await readFile(path);
  const lineEnds = [...whole.keys()].filter((at) => whole[at] === 0x0a).map((at) => at + 1);
  // Every cut in the last line, around each line end, and some in between.
  const cuts = new Set([...lineEnds.flatMap((end) => [end - 1, end, end + 1]), 0, 1, 100]);
  for (let at = lineEnds.at(-2) ?? 0; at < whole.length; at++) cuts.add(at);
  for (const cut of cuts) {
    if (cut > whole.length) continue;
    await writeFile(path, whole);
    await truncate(path, cut);
    await writeRun(path, 0);
    const report = await verify(path);
    assert.ok(report.ok, `cut at ${cut}: ${JSON.stringify(report.problems)}`);
    const opened = (await records(path)).findLast((record) => record.type === "open");
    const torn = cut - (lineEnds.findLast((end) => end <= cut) ?? 0);
    assert.equal(opened?.tornBytes, torn === 0 ? undefined : torn, `cut at ${cut}`);
    const untorn = cut === 0 ? "new" : cut === whole.length ? "clean" : "unclean";
    assert.equal(opened?.before, torn === 0 ? untorn : "torn", `cut at ${cut}`);
  }
});

test("zeros that a power loss left at the end are a torn line", async (t) => {
  const path = join(await folder(t), "audit.jsonl");
  await writeRun(path, 1);
  await writeFile(path, Buffer.alloc(200_000), { flag: "a" });
  await writeRun(path, 1);
  assert.ok((await verify(path)).ok);
  const opened = (await records(path)).findLast((record) => record.type === "open");
  assert.equal(opened?.tornBytes, 200_000);
});

test("rotation keeps lines whole, the chain going and only so many files", async (t) => {
  const directory = await folder(t);
  const path = join(directory, "audit.jsonl");
  await writeRun(path, 40, 2_000, 3);
  const names = (await readdir(directory)).sort();
  assert.equal(names.length, 4);
  for (const name of names) assert.ok((await stat(join(directory, name))).size <= 2_000, name);
  const report = await verify(path);
  assert.ok(report.ok, JSON.stringify(report.problems));
  assert.equal(report.last.seq, 42);
  assert.equal(report.records, 42 - report.first + 1);
  assert.deepEqual(
    report.notes.map(({ message }) => message),
    [`begins with record ${report.first}; the ones before are not in the given files`],
  );
});

test("a record larger than the rotation size has a file of its own", async (t) => {
  const path = join(await folder(t), "audit.jsonl");
  await writeRun(path, 3, 100);
  assert.equal((await rotatedFiles(path)).length, 4);
  assert.ok((await verify(path)).ok);
});

test("a crash between the rename and the new file of a rotation loses nothing", async (t) => {
  const path = join(await folder(t), "audit.jsonl");
  await writeRun(path, 20, 2_000);
  await rm(path);
  const before = await verify((await rotatedFiles(path)).at(-1) ?? "");
  await writeRun(path, 1);
  const report = await verify(path);
  assert.ok(report.ok, JSON.stringify(report.problems));
  assert.equal(report.last.seq, before.last.seq + 3);
});

test("a file that is something else is refused and left alone", async (t) => {
  const directory = await folder(t);
  const cases: readonly (readonly [content: string, why: RegExp])[] = [
    ["root:x:0:0:root:/root:/bin/bash\n", /its last line is no record \(not JSON\); move it away/],
    ['{"level":"info"}\n', /its last line is no record \(type: /],
    [`${"x".repeat(600_000)}\n`, /its last line is too long; move it away/],
  ];
  for (const [content, message] of cases) {
    const path = join(directory, "other");
    await writeFile(path, content);
    await assert.rejects(open(path), { code: "ZG_AUDIT", message });
    assert.equal(await readFile(path, "utf8"), content);
  }
  await assert.rejects(open(directory), { code: "ZG_AUDIT", message: /cannot be opened: EISDIR/ });
  await assert.rejects(open("/dev/null"), {
    code: "ZG_AUDIT",
    message: "/dev/null: not a regular file; name another one",
  });
  await assert.rejects(open(join(directory, "missing", "a")), { code: "ZG_AUDIT", message: /ENOENT/ });
});
