import assert from "node:assert/strict";
import { test } from "node:test";
import { DATA_HEADROOM } from "../http3/constants.ts";
import { MAX_FRAME, MAX_LANES, MIN_PACKET_FRAME, SLAB_BYTES, SLAB_HEADROOM } from "./constants.ts";
import { MAX_STREAM_WRITE } from "../native/quic.ts";
import { newSlab } from "./slab.ts";

test("the sizes fit together", () => {
  assert.ok(SLAB_HEADROOM >= DATA_HEADROOM, "the DATA header goes in front of the frames");
  assert.ok(newSlab().length <= MAX_STREAM_WRITE, "a slab goes to a lane in one write");
  assert.ok(SLAB_BYTES >= 2 * MAX_FRAME, "a kept part of a frame leaves room to read a whole one");
  assert.ok(SLAB_BYTES / MIN_PACKET_FRAME < 2 ** 16, "the frames of a slab are few");
  assert.equal(MAX_LANES, 64);
});
