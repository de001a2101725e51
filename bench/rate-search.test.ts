import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { searchRate } from "./rate-search.ts";

/** A link that carries `capacity` packets a second and loses what is above. */
const link = (capacity: number) => (rate: number) =>
  Promise.resolve({ packetsPerSecond: Math.min(rate, capacity), loss: Math.max(0, 1 - capacity / rate) });

describe("rate search", () => {
  it("finds the capacity to the interval that its steps leave", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2_000, max: 500_000 }),
        fc.integer({ min: 1, max: 12 }),
        async (capacity, steps) => {
          const found = await searchRate({ low: 1_000, high: 640_000 }, steps, 0.01, link(capacity));
          const lastInterval = 640 ** (0.5 ** steps);
          assert.ok(found <= capacity);
          assert.ok(found === 0 ? capacity <= 1_000 * lastInterval : found >= (capacity / lastInterval) * 0.999);
        },
      ),
    );
  });

  it("forgives one hiccup a rate", async () => {
    let attempts = 0;
    const hiccups = (rate: number) => {
      const trial = { packetsPerSecond: rate, loss: attempts++ % 2 === 0 ? 0.5 : 0 };
      return Promise.resolve(rate > 100 ? { ...trial, loss: 0.5 } : trial);
    };
    assert.equal(await searchRate({ low: 25, high: 400 }, 1, 0.01, hiccups), 100);
  });

  it("finds nothing on a dead link", async () => {
    assert.equal(await searchRate({ low: 1, high: 1e6 }, 5, 0.01, link(0)), 0);
  });

  it("takes what arrived, not what was asked for", async () => {
    const slowSender = (rate: number) => Promise.resolve({ packetsPerSecond: Math.min(rate, 50), loss: 0 });
    assert.equal(await searchRate({ low: 10, high: 1e6 }, 6, 0.01, slowSender), 50);
  });
});
