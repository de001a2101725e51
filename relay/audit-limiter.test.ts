import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { unixMs } from "../shared/units.ts";
import { RecordLimiter } from "./audit-limiter.ts";

const at = unixMs;

test("a burst passes, then the rate; the rest is counted with its times", () => {
  const limiter = new RecordLimiter({ burst: 3, rate: 2, maxKeys: 10 });
  const admitted = [0, 0, 0, 10, 20, 499, 500, 999, 1000].filter((time) => limiter.admit("alice", at(time)));
  assert.deepEqual(admitted, [0, 0, 0, 500, 1000]);
  assert.deepEqual(limiter.take(at(1000)), [{ key: "alice", count: 4, from: at(10), to: at(999) }]);
  assert.deepEqual(limiter.take(at(1001)), []);
});

test("one key's records do not cost another one's", () => {
  const limiter = new RecordLimiter({ burst: 1, rate: 1, maxKeys: 10 });
  for (let index = 0; index < 5; index++) limiter.admit("loud", at(0));
  assert.equal(limiter.admit("quiet", at(0)), true);
});

test("a quiet key is forgotten; keys beyond the limit share a bucket", () => {
  const limiter = new RecordLimiter({ burst: 1, rate: 1, maxKeys: 2 });
  assert.deepEqual(
    ["a", "b", "c", "d", "e"].map((key) => limiter.admit(key, at(0))),
    [true, true, true, false, false],
  );
  assert.equal(limiter.size, 3);
  assert.deepEqual(limiter.take(at(0)), [{ key: undefined, count: 2, from: at(0), to: at(0) }]);
  limiter.take(at(1000));
  assert.equal(limiter.size, 0);
});

test("a clock that was set back neither blocks nor opens the limiter", () => {
  const limiter = new RecordLimiter({ burst: 1, rate: 1, maxKeys: 2 });
  assert.equal(limiter.admit("a", at(1_000_000)), true);
  assert.equal(limiter.admit("a", at(0)), false);
  assert.equal(limiter.admit("a", at(1_000)), true);
});

test("for any times and keys: what is not admitted is counted, and at most burst + rate x time pass", () => {
  const events = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.nat({ max: 400 })), { maxLength: 200 });
  fc.assert(
    fc.property(events, (list) => {
      const limiter = new RecordLimiter({ burst: 5, rate: 10, maxKeys: 3 });
      let time = 0;
      let admitted = 0;
      let counted = 0;
      for (const [key, wait] of list) {
        time += wait;
        if (limiter.admit(`client-${key}`, at(time))) admitted++;
        if (wait > 300) counted += limiter.take(at(time)).reduce((sum, { count }) => sum + count, 0);
        assert.ok(limiter.size <= 4);
      }
      counted += limiter.take(at(time)).reduce((sum, { count }) => sum + count, 0);
      assert.equal(admitted + counted, list.length);
      assert.ok(admitted <= 4 * (5 + (10 * time) / 1000) + 4);
    }),
  );
});
