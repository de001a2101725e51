import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { test } from "node:test";
import { EMPTY_CHAIN } from "./audit-chain.ts";
import { DENIED, FLOW, REFUSAL } from "./audit-fixture.ts";
import { AuditLog, type AuditOptions } from "./audit-log.ts";
import { type AuditRecord, parseAuditLine } from "./audit-record.ts";
import type { AuditSink } from "./audit-sink.ts";
import { ChainVerifier } from "./audit-verify.ts";
import { AUDIT_BURST, AUDIT_RETRY_MS, AUDIT_STALL_MS, AUDIT_SUMMARY_MS } from "./constants.ts";

/** A sink that takes what the test lets it take. */
class FakeSink implements AuditSink {
  readonly batchLimit = 4_096;
  written = "";
  /** Bytes that one write takes at most. */
  appetite = Number.MAX_SAFE_INTEGER;
  /** Set: writes fail with it. */
  failure: string | undefined;
  /** Set: writes wait until `release`. */
  #held: PromiseWithResolvers<void> | undefined;

  hold(): void {
    this.#held = Promise.withResolvers();
  }

  release(): void {
    this.#held?.resolve();
    this.#held = undefined;
  }

  async write(bytes: Buffer): Promise<number> {
    await this.#held?.promise;
    if (this.failure !== undefined) throw new Error(this.failure);
    const taken = Math.min(bytes.length, this.appetite);
    this.written += bytes.toString("latin1", 0, taken);
    return taken;
  }

  wantsRotation(): boolean {
    return false;
  }

  async rotate(): Promise<void> {}
  async sync(): Promise<void> {}
  async close(): Promise<void> {}

  get records(): AuditRecord[] {
    const lines = Buffer.from(this.written, "latin1").toString().split("\n").slice(0, -1);
    return lines.map((line) => {
      const parsed = parseAuditLine(line);
      assert.ok(parsed.ok, line);
      return parsed.record;
    });
  }

  get types(): string[] {
    return this.records.map(({ type }) => type);
  }

  assertWhole(): void {
    const verifier = new ChainVerifier();
    const lines = this.written.split("\n").slice(0, -1);
    for (const [index, line] of lines.entries()) {
      verifier.add({ file: "fake", number: index + 1, bytes: Buffer.from(line, "latin1"), state: "whole" });
    }
    assert.deepEqual(verifier.report().problems, []);
  }
}

function logTo(sink: AuditSink, queueBytes?: number, options: Partial<AuditOptions> = {}): AuditLog {
  const start = { sink, head: EMPTY_CHAIN, before: { before: "new" } } as const;
  return new AuditLog({ path: "fake", version: "0.1.0", failClosed: false, ...options }, start, queueBytes);
}

test("short writes are continued where they ended", async () => {
  const sink = new FakeSink();
  sink.appetite = 7;
  const log = logTo(sink);
  for (let index = 0; index < 20; index++) log.flow(FLOW);
  await log.close();
  assert.equal(sink.records.length, 22);
  sink.assertWhole();
});

test("a slow sink never holds up the caller: records wait, then are lost, and a gap record says which", async () => {
  const sink = new FakeSink();
  const health: (string | undefined)[] = [];
  const log = logTo(sink, 5_000, { onHealth: (_healthy, reason) => health.push(reason) });
  sink.hold();
  for (let index = 0; index < 50; index++) log.flow(FLOW);
  log.refusal(REFUSAL);
  const { lost, gaps, queuedBytes, records } = log.stats();
  assert.equal(records + lost, 52);
  assert.ok(lost > 30 && queuedBytes <= 5_000);
  assert.equal(gaps, 1);
  assert.equal(log.healthy, false);

  sink.release();
  await log.flush();
  assert.equal(log.healthy, true);
  log.flow(FLOW);
  await log.close();
  sink.assertWhole();
  const gap = sink.records.find((record) => record.type === "gap");
  assert.equal(gap?.lost, lost);
  assert.deepEqual(gap?.lostByType, { flow: lost - 1, refusal: 1 });
  assert.deepEqual(sink.types.slice(-3), ["gap", "flow", "close"]);
  assert.deepEqual(health, ["the sink is slower than the records come", undefined]);
});

test("a sink that fails is tried again, and what waited is written in order", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sink = new FakeSink();
  sink.failure = "ENOSPC: no space left on device, write";
  const unhealthy = Promise.withResolvers<string | undefined>();
  const healthy = Promise.withResolvers<void>();
  const log = logTo(sink, undefined, {
    failClosed: true,
    onHealth: (now, reason) => (now ? healthy.resolve() : unhealthy.resolve(reason)),
  });
  log.flow(FLOW);
  assert.equal(await unhealthy.promise, "ENOSPC: no space left on device, write");
  assert.equal(log.refusesTraffic, true);
  assert.equal(log.stats().lost, 0);

  sink.failure = undefined;
  t.mock.timers.tick(AUDIT_RETRY_MS);
  await healthy.promise;
  assert.equal(log.refusesTraffic, false);
  assert.deepEqual(sink.types, ["open", "flow"]);
});

test("a write that hangs makes the log unhealthy until it returns", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sink = new FakeSink();
  sink.hold();
  const healthy = Promise.withResolvers<void>();
  const log = logTo(sink, undefined, { onHealth: (now) => now && healthy.resolve() });
  assert.equal(log.healthy, true);
  t.mock.timers.tick(AUDIT_STALL_MS);
  assert.equal(log.healthy, false);
  assert.equal(log.unhealthyReason, `a write takes longer than ${AUDIT_STALL_MS} ms`);
  assert.equal(log.refusesTraffic, false);
  sink.release();
  await healthy.promise;
});

test("flush and close say what they could not write", async () => {
  const sink = new FakeSink();
  sink.failure = "EIO: i/o error, write";
  const log = logTo(sink);
  const message = (count: number): object => ({
    code: "ZG_AUDIT",
    message: `${count} audit records are not written: EIO: i/o error, write`,
  });
  await assert.rejects(log.flush(), message(1));
  log.flow(FLOW);
  await assert.rejects(log.close(), message(3));
  log.flow(FLOW);
  await log.close();
  assert.equal(log.stats().records, 3);
});

test("denied flows are limited for each client, allowed ones are not; the counts are written", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  const sink = new FakeSink();
  const log = logTo(sink);
  for (let index = 0; index < AUDIT_BURST + 50; index++) {
    log.flow(DENIED);
    log.flow(FLOW);
  }
  log.flow({ ...DENIED, client: "client-2" });
  for (let index = 0; index < AUDIT_BURST + 5; index++) assert.equal(log.refusal(REFUSAL), index < AUDIT_BURST);
  assert.equal(log.stats().suppressed, 55);
  t.mock.timers.tick(AUDIT_SUMMARY_MS);
  log.flow({ ...DENIED, client: "client-3" });
  t.mock.timers.reset();
  await log.close();

  const denied = sink.records.filter((record) => record.type === "flow" && record.action === "deny");
  assert.equal(denied.length, AUDIT_BURST + 2);
  const counts = sink.records.filter((record) => record.type === "suppressed");
  assert.deepEqual(
    counts.map(({ of, key, count }) => ({ of, key, count })),
    [
      { of: "flow", key: "client-1", count: 50 },
      { of: "refusal", key: "handshake", count: 5 },
    ],
  );
  sink.assertWhole();
});

/** A relay in miniature: writes records to its last argument until it is told to end, or is killed. */
const CHILD = `
  import { AuditLog } from ${JSON.stringify(import.meta.resolve("./audit-log.ts"))};
  import { FLOW } from ${JSON.stringify(import.meta.resolve("./audit-fixture.ts"))};
  const log = await AuditLog.open({ path: process.argv.at(-1), version: "0.1.0", failClosed: false });
  const burst = () => { for (let index = 0; index < 200; index++) log.flow(FLOW); };
`;

function verifyText(text: string): { problems: unknown; records: number; torn: number } {
  const verifier = new ChainVerifier();
  const lines = text.split("\n");
  const torn = lines.pop() ?? "";
  for (const [index, line] of lines.entries()) {
    verifier.add({ file: "log", number: index + 1, bytes: Buffer.from(line), state: "whole" });
  }
  const { problems, records } = verifier.report();
  return { problems, records, torn: torn.length };
}

test("kill -9 at any moment leaves a chain that the next start continues", async () => {
  const directory = mkdtempSync(join(tmpdir(), "zgate-audit-"));
  const path = join(directory, "audit.jsonl");
  const source = `${CHILD} setInterval(() => { burst(); process.stdout.write("."); }, 1);`;
  try {
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", source, "--", path], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const exited = once(child, "exit");
      let bursts = 0;
      child.stdout.on("data", (dots: Buffer) => {
        bursts += dots.length;
        if (bursts > 3 * round) child.kill("SIGKILL");
      });
      assert.deepEqual(await exited, [null, "SIGKILL"]);
    }
    await (await AuditLog.open({ path, version: "0.1.0", failClosed: false })).close();
    const { problems, torn, records } = verifyText(readFileSync(path, "utf8"));
    assert.deepEqual(problems, []);
    assert.equal(torn, 0);
    assert.ok(records > 10);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** What the shell connects to standard output: a pipe, or the socket that Node's `spawn` makes. */
const UNREAD = {
  pipe: '("$0" "$@"; echo ", exit $?" >&2) | read wait <&3',
  socket: '"$0" "$@"; echo ", exit $?" >&2; read wait <&3',
};

for (const [kind, script] of Object.entries(UNREAD)) {
  test(`a ${kind} as standard output that nobody reads neither blocks the process nor keeps it from ending`, async () => {
    // 30 MB of records: the loop must go on, records are lost, close gives up, the process exits.
    const source = `${CHILD}
      for (let round = 0; round < 300; round++) { burst(); await new Promise(setImmediate); }
      await log.close().catch((error) => process.stderr.write(error.code));
      process.stderr.write(", lost " + (log.stats().lost > 0));
    `;
    const args = ["-c", `exec 3<&0; ${script}`, process.execPath, "--input-type=module", "-e", source, "--", "-"];
    const shell = spawn("sh", args, { stdio: ["pipe", "pipe", "pipe"] });
    const ended = once(shell, "close");
    let errors = "";
    shell.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
      if (!text.endsWith("\n")) return;
      shell.stdin.end();
      shell.stdout.destroy();
    });
    await ended;
    assert.equal(errors, "ZG_AUDIT, lost true, exit 0\n");
  });
}

test("standard output whose reader is gone makes the log unhealthy, and ends nothing", async () => {
  const source = `${CHILD}
    burst();
    const until = (reason) => new Promise((resolve) => {
      const look = () => (log.unhealthyReason === reason ? resolve() : setImmediate(look));
      look();
    });
    await until("write EPIPE");
    await log.flush().catch((error) => process.stderr.write(error.message));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source, "--", "-"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(errors, "201 audit records are not written: write EPIPE");
});

test("standard output that is read gets a whole chain", () => {
  const source = `${CHILD} burst(); await log.close();`;
  for (const shell of ["exec", "cat |", "exec 2>&1; exec"]) {
    const command = shell === "cat |" ? '"$0" "$@" | cat' : `${shell} "$0" "$@"`;
    const args = ["-c", command, process.execPath, "--input-type=module", "-e", source, "--", "-"];
    const { stdout, status } = spawnSync("sh", args, { encoding: "utf8" });
    assert.equal(status, 0);
    assert.deepEqual(verifyText(stdout), { problems: [], records: 202, torn: 0 });
  }
});

test("a disk that is full loses records, says so, and goes on when there is room", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "zgate-audit-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "zgate-audit-test", directory]).status === 0;
  if (!mounted) {
    rmSync(directory, { recursive: true });
    t.skip("needs to mount a tmpfs, as root");
    return;
  }
  try {
    const path = join(directory, "audit.jsonl");
    const ballast = join(directory, "ballast");
    spawnSync("dd", ["if=/dev/zero", `of=${ballast}`, "bs=1k", "count=40"]);
    const sick = Promise.withResolvers<string | undefined>();
    const well = Promise.withResolvers<void>();
    const log = await AuditLog.open({
      path,
      version: "0.1.0",
      failClosed: true,
      onHealth: (healthy, reason) => (healthy ? well.resolve() : sick.resolve(reason)),
    });
    for (let index = 0; index < 60; index++) log.flow(FLOW);
    assert.match((await sick.promise) ?? "", /ENOSPC/);
    assert.equal(log.refusesTraffic, true);
    rmSync(ballast);
    await well.promise;
    await log.close();
    assert.deepEqual(verifyText(readFileSync(path, "utf8")), { problems: [], records: 62, torn: 0 });
  } finally {
    spawnSync("umount", [directory]);
    rmSync(directory, { recursive: true });
  }
});
