import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { PolicyError } from "../shared/policy/problem.ts";
import { unixMs } from "../shared/units.ts";
import { PolicyDesk } from "./policy-desk.ts";
import { PolicyThread, type PolicyThreadLimits } from "./policy-thread.ts";

const folder = mkdtempSync(join(tmpdir(), "zgate-policy-thread-"));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const GENEROUS: PolicyThreadLimits = { megabytes: 2_048, milliseconds: 60_000, keptMegabytes: 2_048, idleMs: 1 };
const AT = unixMs(Date.UTC(2026, 0, 5, 12));
const rule = (id: string, address: string): string =>
  `{ id: ${id}, type: ip_cidr, action: allow, destinations: [${address}] }`;
const SMALL = write(
  "small.yaml",
  `version: "1.0"\nclients:\n  a: { rules: [${rule("one", "10.0.0.1")}] }\n  b: { rules: [${rule("two", "10.0.0.2")}] }\n`,
);
const LARGER = write("larger.yaml", `version: "1.0"\nclients:\n  a: { rules: [${rule("one", "10.0.0.0/30")}] }\n`);
const SCHEDULED = write(
  "scheduled.yaml",
  `version: "1.0"\nclients:\n  a:\n    rules:\n      - { ${rule("one", "10.0.0.1").slice(2, -2)}, not_after: "2026-01-06T00:00:00Z" }\n`,
);
/** 20 MB: some 600 of heap while it is read, and seconds. */
const LARGE = write("large.yaml", `version: "1.0"\nclients:\n  a:\n    rules:\n${manyRules(200_000)}`);
function manyRules(count: number): string {
  let lines = "";
  for (let number = 0; number < count; number++) {
    const address = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
    lines += `      - { id: r${number}, type: ip_cidr, action: allow, destinations: [${address}], ports: [tcp/443, udp/53] }\n`;
  }
  return lines;
}

const QUESTION = { client: "a", dst: "10.0.0.1", proto: "tcp", port: 80 };

/** The threads that are started while the test runs. */
function startedThreads(t: TestContext): Worker[] {
  const threads: Worker[] = [];
  const note = (worker: Worker): void => void threads.push(worker);
  process.on("worker", note);
  t.after(() => process.off("worker", note));
  return threads;
}

describe("the policy thread", { timeout: 120_000 }, () => {
  test("loads, and answers about what was adopted", async () => {
    const desk = new PolicyDesk(new PolicyThread(GENEROUS));
    const first = await desk.load(SMALL);
    assert.deepEqual([...first.files.keys()], [SMALL]);
    await assert.rejects(desk.routes("a", AT), /not in force/);
    desk.adopt(first);
    const before = await desk.routes("a", AT);
    const second = await desk.load(LARGER);
    assert.deepEqual(await desk.routes("a", AT), before, "what was only loaded is not in force");
    desk.adopt(second);
    assert.notDeepEqual(await desk.routes("a", AT), before);
    assert.deepEqual(await desk.changes(), [
      "a: + 10.0.0.0, 10.0.0.2/31  every protocol",
      "b: ! no longer admitted",
      "b: - 10.0.0.2  every protocol",
    ]);
    const { action, ruleId, rule: decided } = await desk.explain(QUESTION, AT);
    assert.deepEqual([action, ruleId, decided?.place], ["allow", "one", `${LARGER}:3:16`]);
    await assert.rejects(desk.explain({ ...QUESTION, client: "nobody" }, AT), { code: "ZG_CONFIG_INVALID" });
    assert.equal((await desk.outlook(AT)).next, undefined);
  });

  test("keeps the policies of two askers apart", async () => {
    const thread = new PolicyThread(GENEROUS);
    const [one, other] = [new PolicyDesk(thread), new PolicyDesk(thread)];
    const [small, larger] = await Promise.all([one.load(SMALL), other.load(LARGER)]);
    one.adopt(small);
    other.adopt(larger);
    assert.notDeepEqual(await one.routes("a", AT), await other.routes("a", AT));
    one.close();
    await assert.rejects(one.routes("a", AT), /not in force/);
    assert.equal((await other.explain(QUESTION, AT)).ruleId, "one");
  });

  for (const { name, limits, says } of [
    { name: "memory", limits: { ...GENEROUS, megabytes: 48 }, says: "more than 48 MB of memory" },
    { name: "time", limits: { ...GENEROUS, milliseconds: 1_500 }, says: "more than 1.5 seconds" },
  ]) {
    test(`dies of a file that takes too much ${name}: that is what is wrong with it, and nothing else is lost`, async (t) => {
      // The time is the test's: a busy machine may not even start a thread in it.
      t.mock.timers.enable({ apis: ["setTimeout"] });
      const desk = new PolicyDesk(new PolicyThread(limits));
      desk.adopt(await desk.load(SMALL));
      const routes = await desk.routes("a", AT);
      const asked = [desk.load(LARGE), desk.explain(QUESTION, AT), desk.routes("a", AT)] as const;
      if (name === "time") t.mock.timers.tick(limits.milliseconds);
      const [load, explanation, again] = await Promise.allSettled(asked);
      assert.ok(load.status === "rejected" && load.reason instanceof PolicyError);
      assert.equal(load.reason.message, `${LARGE}:1:1: the policy cannot be loaded: this takes ${says}`);
      assert.deepEqual([...load.reason.files.keys()], [LARGE]);
      assert.ok(explanation.status === "fulfilled" && again.status === "fulfilled");
      assert.deepEqual([explanation.value.rule?.place, again.value], [`${SMALL}:3:16`, routes]);
      desk.adopt(await desk.load(LARGER));
      assert.deepEqual((await desk.changes())[0], "a: + 10.0.0.0, 10.0.0.2/31  every protocol");
    });
  }

  test("one that has grown large is replaced when it is idle: the new one knows what is in force", async (t) => {
    const threads = startedThreads(t);
    const desk = new PolicyDesk(new PolicyThread({ ...GENEROUS, keptMegabytes: 0, idleMs: 5 }));
    desk.adopt(await desk.load(SCHEDULED));
    const [first] = threads;
    assert.ok(first);
    const outlook = await desk.outlook(AT);
    assert.equal(outlook.next, Date.UTC(2026, 0, 6));
    const [routes, explanation] = [await desk.routes("a", AT), await desk.explain(QUESTION, AT)];
    if (first.threadId >= 0) await once(first, "exit");
    assert.ok(threads.length > 1);
    assert.deepEqual(await desk.outlook(AT), outlook);
    assert.deepEqual([await desk.routes("a", AT), await desk.explain(QUESTION, AT)], [routes, explanation]);
    desk.adopt(await desk.load(LARGER));
    assert.match((await desk.changes())[0] ?? "", /^a: /);
    await once(process, "worker"); // The last of them: it is fresh, and nobody asks it.
  });

  test("a small one is kept", async (t) => {
    const threads = startedThreads(t);
    const desk = new PolicyDesk(new PolicyThread(GENEROUS));
    desk.adopt(await desk.load(SMALL));
    for (let turn = 0; turn < 3; turn++) {
      await desk.routes("a", AT);
      // Timers fire in their order: one that would replace the thread was set before.
      await setTimeout(GENEROUS.idleMs);
    }
    assert.equal(threads.length, 1);
  });
});
