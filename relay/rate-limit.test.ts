import assert from "node:assert/strict";
import { test } from "node:test";
import { RATE_BURST_BYTES } from "./constants.ts";
import { RateLimit } from "./rate-limit.ts";

const UNLIMITED = { maxSessions: undefined, upBitsPerSecond: undefined, downBitsPerSecond: undefined };

/** How many bytes of 1,500-byte packets, offered without a pause for `seconds`, pass. */
function passed(limit: RateLimit, fromMs: number, seconds: number): number {
  let bytes = 0;
  for (let ms = fromMs; ms < fromMs + 1000 * seconds; ms++) {
    for (let packet = 0; packet < 20; packet++) if (limit.admitUp(1500, ms)) bytes += 1500;
  }
  return bytes;
}

test("without a limit everything passes, and each direction has its own", () => {
  const limit = new RateLimit({ ...UNLIMITED, downBitsPerSecond: 8000 });
  assert.equal(passed(limit, 0, 1), 1000 * 20 * 1500);
  let down = 0;
  for (let ms = 0; ms < 1000; ms++) if (limit.admitDown(1500, ms)) down += 1500;
  assert.ok(down >= RATE_BURST_BYTES - 1500 && down <= RATE_BURST_BYTES + 1000, `${down}`);
});

test("what passes is the rate, after a burst", () => {
  const limit = new RateLimit({ ...UNLIMITED, upBitsPerSecond: 80_000_000 });
  passed(limit, 0, 1);
  const bytes = passed(limit, 1000, 4);
  assert.ok(Math.abs(bytes - 40_000_000) < 40_000, `${bytes} bytes in 4 s at 10 MB/s`);
});

test("a changed limit holds at once, and an unchanged one gives no new burst", () => {
  const limits = { ...UNLIMITED, upBitsPerSecond: 800_000 };
  const limit = new RateLimit(limits);
  passed(limit, 0, 1);
  limit.follow(limits);
  assert.ok(passed(limit, 1000, 1) <= 100_000 + 1500);
  limit.follow(UNLIMITED);
  assert.equal(passed(limit, 2000, 1), 1000 * 20 * 1500);
});
