import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { messageOf } from "../shared/errors.ts";
import { readQuestion } from "../shared/policy/explain.ts";
import { unixMs } from "../shared/units.ts";
import { PolicyThread } from "./policy-thread.ts";
import { LivePolicy, type ReloadOutcome, type ReloadTrigger } from "./live-policy.ts";

const folder = mkdtempSync(join(tmpdir(), "zgate-live-policy-"));
after(() => rmSync(folder, { recursive: true }));

const thread = new PolicyThread();
const HEAD = 'version: "1.0"\n';

/** Reloads in the order in which they happen, to be waited for. */
class Reloads {
  readonly #seen: string[] = [];
  #waiting: ((reload: string) => void) | undefined;

  readonly events = {
    onSwap: (): void => {},
    onReload: (trigger: ReloadTrigger, outcome: ReloadOutcome): void => {
      const result = outcome.applied ? "applied" : messageOf(outcome.error).replaceAll(`${folder}/`, "");
      const reload = `${trigger}: ${outcome.generation} ${result}`;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#seen.push(reload);
      else waiting(reload);
    },
  };

  next(): Promise<string> {
    const seen = this.#seen.shift();
    if (seen !== undefined) return Promise.resolve(seen);
    return new Promise((resolve) => (this.#waiting = resolve));
  }
}

/** As an editor does it, so that no half-written file is ever read. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

test("a file is applied, or refused with its place; what is missing is waited for", { timeout: 30_000 }, async () => {
  const main = join(folder, "main.yaml");
  replace(main, `${HEAD}clients: { a: }\n`);
  const reloads = new Reloads();
  const live = await LivePolicy.open(main, thread, reloads.events);
  assert.deepEqual([...live.current.clientNames()], ["a"]);

  replace(main, `${HEAD}clients: { a: , b: }\n`);
  assert.equal(await reloads.next(), "file: 2 applied");
  assert.deepEqual([...live.current.clientNames()], ["a", "b"]);

  replace(main, `${HEAD}clients: { a: 5 }\n`);
  assert.equal(await reloads.next(), "file: 2 main.yaml:2:15: found the number 5; expected a mapping");
  assert.deepEqual([...live.current.clientNames()], ["a", "b"]);

  replace(main, `${HEAD}clients: { a: }\ninclude: [more.yaml]\n`);
  assert.equal(await reloads.next(), "file: 2 main.yaml:3:11: more.yaml cannot be included: there is no such file");
  replace(join(folder, "more.yaml"), "clients: { c: }\n");
  assert.equal(await reloads.next(), "file: 3 applied");
  assert.deepEqual([...live.current.clientNames()], ["a", "c"]);
  live.close();
});

test("reloads run one after another, also after one whose listener failed", async () => {
  const path = join(folder, "serial.yaml");
  replace(path, `${HEAD}clients: { a: }\n`);
  let fails = true;
  const onReload = (): void => {
    if (fails) throw new Error("the listener failed");
  };
  const live = await LivePolicy.open(path, thread, { onSwap: () => {}, onReload });
  await assert.rejects(live.reload("admin"), /the listener failed/);
  fails = false;
  const outcomes = await Promise.all([live.reload("admin"), live.reload("signal")]);
  assert.deepEqual(
    outcomes.map(({ applied, generation }) => [applied, generation]),
    [
      [true, 3],
      [true, 4],
    ],
  );
  live.close();
});

test(
  "edits while a reload runs: the newest content wins, one reload waits, and a refusal is told once",
  { timeout: 30_000 },
  async () => {
    const path = join(folder, "edited.yaml");
    replace(path, `${HEAD}clients: { a: }\n`);
    const reloads = new Reloads();
    const live = await LivePolicy.open(path, thread, {
      ...reloads.events,
      onReload: (trigger, outcome) => {
        if (!outcome.applied) replace(path, `${HEAD}clients: { newest: }\n`);
        reloads.events.onReload(trigger, outcome);
      },
    });
    replace(path, `${HEAD}clients: { a: 5 }\n`);
    const running = live.reload("admin");
    const waiting = [live.reload("signal"), live.reload("file"), live.reload("admin")];
    assert.equal(new Set(waiting).size, 1);
    assert.ok(!(await running).applied);
    assert.ok((await waiting[0])?.applied);
    assert.equal(await reloads.next(), "admin: 1 edited.yaml:2:15: found the number 5; expected a mapping");
    assert.equal(await reloads.next(), "signal: 2 applied");
    assert.deepEqual([...live.current.clientNames()], ["newest"]);
    live.close();
  },
);

test(
  "a file that is included anew, and changes while the policy is loaded, is loaded again",
  { timeout: 30_000 },
  async () => {
    const path = join(folder, "including.yaml");
    const included = join(folder, "elsewhere", "included.yaml");
    mkdirSync(join(folder, "elsewhere"));
    replace(included, "clients: { b: }\n");
    replace(path, `${HEAD}clients: { a: }\n`);
    const reloads = new Reloads();
    const live = await LivePolicy.open(path, thread, {
      ...reloads.events,
      onSwap: () => live.current.client("b") !== undefined && replace(included, "clients: { c: }\n"),
    });
    replace(path, `${HEAD}clients: { a: }\ninclude: [elsewhere/included.yaml]\n`);
    assert.equal(await reloads.next(), "file: 2 applied");
    assert.equal(await reloads.next(), "file: 3 applied");
    assert.deepEqual([...live.current.clientNames()], ["a", "c"]);
    live.close();
  },
);

test("a listener that fails at the swap leaves the new policy in force with all that belongs to it", async () => {
  const path = join(folder, "swap.yaml");
  replace(path, `${HEAD}clients: { a: }\n`);
  const outcomes: ReloadOutcome[] = [];
  const onSwap = (): void => {
    if (live.generation === 2) throw new Error("the listener failed");
  };
  const live = await LivePolicy.open(path, thread, { onSwap, onReload: (_, outcome) => void outcomes.push(outcome) });
  replace(
    path,
    `${HEAD}clients: { b: { rules: [{ id: r, type: ip_cidr, action: allow, destinations: [10.0.0.1] }] } }\n`,
  );
  await assert.rejects(live.reload("admin"), /the listener failed/);
  assert.deepEqual([live.generation, outcomes], [2, []], "nothing says that it was refused");
  assert.deepEqual([...live.current.clientNames()], ["b"]);
  const { ruleId } = await live.explain({ client: "b", dst: "10.0.0.1", proto: "tcp", port: 1 }, unixMs(0));
  assert.equal(ruleId, "r", "the thread answers for the same policy");
  assert.ok((await live.reload("admin")).applied);
  live.close();
});

test(
  "a time condition flips: the listener is told, and verdicts are those of the new time",
  { timeout: 30_000 },
  async () => {
    const path = join(folder, "flip.yaml");
    // One flip after another: on a busy machine the first may have passed when the policy is loaded.
    const now = Date.now();
    const rules = Array.from({ length: 60 }, (_, index) => {
      const flips = new Date(now + 300 * (index + 1)).toISOString();
      return `{ id: r${index}, type: ip_cidr, action: allow, destinations: [10.0.0.1], not_before: ${flips} }`;
    });
    replace(path, `${HEAD}clients: { a: { rules: [${rules.join(", ")}] } }\n`);
    const flipped = Promise.withResolvers<void>();
    const live = await LivePolicy.open(path, thread, { onSwap: flipped.resolve, onReload: () => {} });
    const stay = setTimeout(() => {}, 30_000);
    await flipped.promise;
    clearTimeout(stay);
    assert.equal(live.generation, 1);
    const { target, at } = readQuestion({ client: "a", dst: "10.0.0.1", proto: "tcp", port: 443 }, unixMs(Date.now()));
    assert.equal(live.current.client("a")?.judge(target, at).ruleId, "r0");
    live.close();
  },
);

test("a reload that ends after `close` changes nothing", async () => {
  const path = join(folder, "closed.yaml");
  replace(path, `${HEAD}clients: { a: }\n`);
  const live = await LivePolicy.open(path, thread, { onSwap: () => assert.fail(), onReload: () => assert.fail() });
  const reload = live.reload("admin");
  live.close();
  assert.equal((await reload).applied, false);
  assert.equal(live.generation, 1);
});
