import assert from "node:assert/strict";
import { test } from "node:test";
import { DATA_HEADROOM } from "../http3/constants.ts";
import { MAX_FRAME, MAX_LANES, MIN_PACKET_FRAME, SLAB_BYTES, SLAB_HEADROOM, SLAB_POOL_KEEP } from "./constants.ts";
import { MAX_STREAM_WRITE } from "../native/quic.ts";
import { newSlab, SlabPool } from "./slab.ts";

test("the sizes fit together", () => {
  assert.ok(SLAB_HEADROOM >= DATA_HEADROOM, "the DATA header goes in front of the frames");
  assert.ok(SLAB_HEADROOM + SLAB_BYTES <= MAX_STREAM_WRITE, "a slab goes to a lane in one write");
  assert.ok(SLAB_BYTES >= 2 * MAX_FRAME, "a kept part of a frame leaves room to read a whole one");
  assert.ok(SLAB_BYTES / MIN_PACKET_FRAME < 2 ** 16, "the frames of a slab are few");
  assert.equal(MAX_LANES, 64);
});

test("a pool lends up to its limit and uses slabs again", () => {
  const pool = new SlabPool(2);
  const first = pool.take();
  assert.ok(first);
  assert.equal(first.length, newSlab().length);
  const second = pool.take();
  assert.ok(second);
  assert.equal(pool.take(), undefined);
  assert.equal(pool.lent, 2);
  pool.give(first);
  assert.equal(pool.take(), first);
});

test("a pool keeps no more free slabs than it says", () => {
  const pool = new SlabPool(SLAB_POOL_KEEP + 1);
  const slabs = Array.from({ length: SLAB_POOL_KEEP + 1 }, () => pool.take()).filter((slab) => slab !== undefined);
  for (const slab of slabs) pool.give(slab);
  assert.equal(pool.lent, 0);
  const again = new Set(Array.from({ length: SLAB_POOL_KEEP + 1 }, () => pool.take()));
  assert.equal(slabs.filter((slab) => again.has(slab)).length, SLAB_POOL_KEEP);
});
