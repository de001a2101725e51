import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { quantile, summarise } from "./statistics.ts";

describe("statistics", () => {
  const table: readonly [samples: number[], q: number, expected: number][] = [
    [[7], 0.99, 7],
    [[3, 1, 2], 0.5, 2],
    [[4, 1, 3, 2], 0.5, 2.5],
    [[0, 10], 0.25, 2.5],
    [[1, 2, 3, 4, 5], 0, 1],
    [[1, 2, 3, 4, 5], 1, 5],
  ];
  for (const [samples, q, expected] of table) {
    it(`quantile ${q} of ${samples.join(", ")} is ${expected}`, () => assert.equal(quantile(samples, q), expected));
  }

  it("has no quantile of nothing", () => assert.throws(() => quantile([], 0.5), RangeError));

  it("summarises", () => {
    assert.deepEqual(summarise([30, 10, 20]), { median: 20, min: 10, max: 30, count: 3 });
    assert.equal(summarise([]), undefined);
  });
});
