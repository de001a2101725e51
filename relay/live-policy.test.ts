import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { messageOf } from "../shared/errors.ts";
import { LivePolicy, type ReloadOutcome, type ReloadTrigger } from "./live-policy.ts";

const folder = mkdtempSync(join(tmpdir(), "zgate-live-policy-"));
after(() => rmSync(folder, { recursive: true }));

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
  const live = await LivePolicy.open(main, reloads.events);
  assert.deepEqual([...live.current.clientNames], ["a"]);

  replace(main, `${HEAD}clients: { a: , b: }\n`);
  assert.equal(await reloads.next(), "file: 2 applied");
  assert.deepEqual([...live.current.clientNames], ["a", "b"]);

  replace(main, `${HEAD}clients: { a: 5 }\n`);
  assert.equal(await reloads.next(), "file: 2 main.yaml:2:15: found the number 5; expected a mapping");
  assert.deepEqual([...live.current.clientNames], ["a", "b"]);

  replace(main, `${HEAD}clients: { a: }\ninclude: [more.yaml]\n`);
  assert.equal(await reloads.next(), "file: 2 main.yaml:3:11: more.yaml cannot be included: there is no such file");
  replace(join(folder, "more.yaml"), "clients: { c: }\n");
  assert.equal(await reloads.next(), "file: 3 applied");
  assert.deepEqual([...live.current.clientNames], ["a", "c"]);
  live.close();
});

test("reloads run one after another, also after one whose listener failed", async () => {
  const path = join(folder, "serial.yaml");
  replace(path, `${HEAD}clients: { a: }\n`);
  let fails = true;
  const onReload = (): void => {
    if (fails) throw new Error("the listener failed");
  };
  const live = await LivePolicy.open(path, { onSwap: () => {}, onReload });
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
