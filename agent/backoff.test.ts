import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.ts";

test("the ceiling doubles up to the maximum and starts over after reset", () => {
  const backoff = new Backoff(100, 1000, () => 1 - Number.EPSILON);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => backoff.next()),
    [100, 200, 400, 800, 1000, 1000],
  );
  backoff.reset();
  assert.equal(backoff.next(), 100);
});

test("jitter never leaves the bounds", () => {
  for (const random of [0, 0.25, 0.999]) {
    const backoff = new Backoff(250, 2000, () => random);
    for (let attempt = 0; attempt < 20; attempt++) {
      const wait = backoff.next();
      assert.ok(wait >= 250 && wait <= 2000, `${wait}`);
    }
    assert.ok(backoff.longest() >= 1000 && backoff.longest() <= 2000);
  }
});
