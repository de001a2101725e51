import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "./logging.ts";
import type { LogLevel } from "./logging.ts";

function recorded(level: LogLevel): { lines: string[]; logger: ReturnType<typeof createLogger> } {
  const lines: string[] = [];
  const logger = createLogger({
    level,
    name: "relay",
    destination: { write: (line: string) => void lines.push(line) },
  });
  return { lines, logger };
}

test("a line is JSON with time, level, name, process and message", () => {
  const { lines, logger } = recorded("info");
  logger.child({ session: 7 }).info({ client: "client-1" }, "session up");
  const { time, ...record }: Record<string, unknown> = JSON.parse(lines.join(""));
  assert.deepEqual(record, {
    level: "info",
    pid: process.pid,
    name: "relay",
    session: 7,
    client: "client-1",
    msg: "session up",
  });
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
});

test("below its level nothing is written", () => {
  const { lines, logger } = recorded("warn");
  logger.info("x");
  logger.warn("y");
  assert.equal(lines.length, 1);
});

test("secrets are not written, at the top or one level down", () => {
  const { lines, logger } = recorded("info");
  logger.info({ token: "hunter2", tls: { privateKeyPem: "hunter2", certificatePem: "public" } }, "x");
  assert.ok(!lines.join("").includes("hunter2"));
  assert.ok(lines.join("").includes("public"));
});

test("an error keeps its message, its code and its cause's message", () => {
  const { lines, logger } = recorded("info");
  logger.error({ err: Object.assign(new Error("outer", { cause: new Error("inner") }), { code: "ZG_TUN" }) }, "x");
  const record: { err?: Record<string, unknown> } = JSON.parse(lines.join(""));
  assert.equal(record.err?.["message"], "outer: inner");
  assert.equal(record.err?.["code"], "ZG_TUN");
});
