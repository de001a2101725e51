import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineQueue } from "./line-queue.ts";

test("whole lines are batched up to the limit, and a long one comes alone", () => {
  const queue = new LineQueue(100);
  for (const line of ["aaa\n", "bb\n", "cccccccc\n", "d\n"]) assert.ok(queue.push(Buffer.from(line)));
  assert.equal(queue.peek(7).toString(), "aaa\nbb\n");
  assert.equal(queue.peek(6).toString(), "aaa\n");
  assert.equal(queue.peek(1).toString(), "aaa\n");
  queue.consume(2);
  assert.ok(queue.midLine);
  assert.equal(queue.firstBytes, 2);
  assert.equal(queue.peek(5).toString(), "a\nbb\n");
  queue.consume(5);
  assert.equal(queue.midLine, false);
  assert.equal(queue.lines, 2);
  assert.equal(queue.peek(100).toString(), "cccccccc\nd\n");
});

test("against a model: lines come out in order, once each, and never more than the limit waits", () => {
  const step = fc.oneof(
    fc.record({ push: fc.string({ maxLength: 20 }) }),
    fc.record({ limit: fc.integer({ min: 1, max: 60 }), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 120 }), fc.array(step, { maxLength: 100 }), (limit, steps) => {
      const queue = new LineQueue(limit);
      let waiting = Buffer.alloc(0);
      for (const one of steps) {
        if ("push" in one) {
          const line = Buffer.from(`${one.push.replaceAll("\n", "")}\n`);
          const fits = waiting.length + line.length <= limit;
          assert.equal(queue.push(line), fits);
          if (fits) waiting = Buffer.concat([waiting, line]);
        } else {
          const batch = queue.peek(one.limit);
          assert.equal(batch.toString(), waiting.subarray(0, batch.length).toString());
          assert.ok(batch.length > 0 || waiting.length === 0);
          assert.ok(batch.length <= Math.max(one.limit, queue.firstBytes));
          const taken = Math.ceil(batch.length * one.share);
          queue.consume(taken);
          waiting = waiting.subarray(taken);
        }
        assert.equal(queue.bytes, waiting.length);
        assert.equal(queue.lines, waiting.toString().split("\n").length - 1);
        assert.equal(queue.roomy, waiting.length < limit / 2);
      }
    }),
  );
});
