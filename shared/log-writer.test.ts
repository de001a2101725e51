import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { LOG_RETRY_MS, LogWriter } from "./log-writer.ts";

/** An output that takes so many bytes as `room` says, and timers that the test lets run. */
class World {
  room = Infinity;
  text = "";
  readonly log: LogWriter;
  #timers: (() => void)[] = [];

  constructor(queueBytes: number) {
    const offer = (bytes: Buffer): number => {
      const taken = Math.min(this.room, bytes.length);
      this.room -= taken;
      this.text += bytes.toString("latin1", 0, taken);
      return taken;
    };
    const later = (delayMs: number, task: () => void): void => {
      assert.equal(delayMs, LOG_RETRY_MS);
      this.#timers.push(task);
    };
    this.log = new LogWriter({ offer }, later, queueBytes);
    this.log.onLost = (lines) => this.log.write(`lost ${lines}\n`);
  }

  get timers(): number {
    return this.#timers.length;
  }

  pass(): void {
    for (const task of this.#timers.splice(0)) task();
  }
}

suite("a log whose reader", { timeout: 10_000 }, () => {
  test("keeps up has each line before the next call, and needs no timer", () => {
    const world = new World(100);
    world.log.write("a\n");
    assert.equal(world.text, "a\n");
    assert.equal(world.timers, 0);
  });

  test("is slow has all lines in order once it reads, cut lines whole again", () => {
    const world = new World(100);
    world.room = 3;
    for (const line of ["aa\n", "bb\n", "cc\n"]) world.log.write(line);
    assert.equal(world.text, "aa\n");
    assert.equal(world.timers, 1);
    world.room = 1;
    world.pass();
    assert.equal(world.text, "aa\nb");
    world.room = Infinity;
    world.pass();
    assert.equal(world.text, "aa\nbb\ncc\n");
    assert.equal(world.timers, 0);
    assert.equal(world.log.lost, 0);
  });

  test("stops costs the lines that find no room, and is told how many where they would stand", () => {
    const world = new World(20);
    world.room = 0;
    for (let line = 10; line < 20; line++) world.log.write(`${line}\n`);
    assert.equal(world.log.lost, 4);
    // Room for one more, but not for half: more are lost, else lines and losses would alternate.
    world.room = 3;
    world.pass();
    world.log.write("20\n");
    assert.equal(world.log.lost, 5);
    world.room = Infinity;
    world.pass();
    assert.equal(world.text, "10\n11\n12\n13\n14\n15\nlost 5\n");
    world.log.write("21\n");
    assert.equal(world.text.slice(-10), "lost 5\n21\n");
  });

  test("is gone costs nothing but the lines: what is kept is bounded", () => {
    const world = new World(100);
    world.room = 0;
    for (let line = 0; line < 10_000; line++) world.log.write("0123456789\n");
    assert.equal(world.timers, 1);
    assert.equal(world.log.lost, 10_000 - 9);
    assert.equal(world.log.flush(), false);
  });
});

test("whatever a reader takes and when, it gets whole lines in order and the number of those between", () => {
  const step = fc.oneof(
    fc.record({ write: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ room: fc.integer({ min: 0, max: 40 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const world = new World(48);
      world.room = 0;
      let written = 0;
      for (const one of steps) {
        if ("write" in one) world.log.write(`${written++}${" ".repeat(one.write)}\n`);
        else {
          world.room = one.room;
          world.pass();
        }
      }
      world.room = Infinity;
      for (let turn = 0; turn < 3; turn++) world.pass();
      assert.ok(world.log.flush());
      let next = 0;
      for (const line of world.text.split("\n").slice(0, -1)) {
        const [, lost] = /^lost (\d+)$/.exec(line) ?? [];
        if (lost === undefined) assert.equal(Number(line), next++);
        else next += Number(lost);
      }
      assert.equal(next, written);
    }),
  );
});
