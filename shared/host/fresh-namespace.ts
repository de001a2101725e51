/**
 * For tests of code that changes the network of its own process: the test file runs itself once more in a
 * new network namespace, which has only a loopback device and ends with it. Nothing is left over, whatever
 * happens.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

/** Set in the process inside. */
const INSIDE = "ZGATE_TEST_NAMESPACE";

/** Longest run of one test file inside, in milliseconds. */
const TIMEOUT_MS = 120_000;

/** Calls `define`, which defines tests, inside a new network namespace; outside, one test stands for them all. */
export function inFreshNamespace(file: string, define: () => void): void {
  if (process.env[INSIDE] === "1") {
    define();
    return;
  }
  const skip = process.getuid?.() === 0 ? false : "needs root for a network namespace";
  test("in a network namespace of its own", { skip }, () => {
    const env: NodeJS.ProcessEnv = { ...process.env, [INSIDE]: "1" };
    delete env["NODE_TEST_CONTEXT"]; // Or the tests inside would report to the runner outside.
    const done = spawnSync("unshare", ["--net", process.execPath, file], {
      env,
      encoding: "utf8",
      timeout: TIMEOUT_MS,
    });
    assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
  });
}
