/** What only shows beside other lanes; the rest of a sender is in `lane.test.ts`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FRAME_HEADER, LANE_BACKLOG_BYTES, SLAB_HEADROOM } from "./constants.ts";
import { putFrameLength } from "./frame.ts";
import { LaneSender } from "./lane-sender.ts";
import { RunList } from "./run-list.ts";
import { newSlab } from "./slab.ts";

const PACKET_BYTES = 1_000;

/** A stream that takes all or nothing, and what it took. */
class Sink {
  onWritable: (() => void) | undefined;
  open = true;
  readonly taken: Uint8Array[] = [];

  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    if (!this.open) return 0;
    for (let pair = 1; pair < count; pair++) this.taken.push(slab.slice(ranges[2 * pair]!, ranges[2 * pair + 1]!));
    return 1;
  }

  writeBody(slab: Uint8Array, from: number, to: number): number {
    if (!this.open) return 0;
    this.taken.push(slab.slice(from, to));
    return to - from;
  }
}

const slab = newSlab();
const runs = new RunList();

/** Sends one frame whose packet is `fill` all over; returns the frame. */
function send(sender: LaneSender, fill: number): Uint8Array {
  putFrameLength(slab, SLAB_HEADROOM, PACKET_BYTES);
  const end = SLAB_HEADROOM + FRAME_HEADER + PACKET_BYTES;
  slab.fill(fill, SLAB_HEADROOM + FRAME_HEADER, end);
  runs.clear();
  runs.add(SLAB_HEADROOM, end);
  assert.equal(sender.send(slab, runs), 0);
  return slab.slice(SLAB_HEADROOM, end);
}

describe("LaneSender", () => {
  test("lanes that are congested one after the other share a backlog, and send nothing of each other's", () => {
    const before = process.memoryUsage().arrayBuffers;
    const lanes = [new Sink(), new Sink()].map((sink) => ({ sink, sender: new LaneSender(sink) }));
    for (let turn = 0; turn < 400; turn++) {
      const { sink, sender } = lanes[turn % 2]!;
      sink.open = false;
      const frames = Array.from({ length: 1 + (turn % 3) }, (_, index) => send(sender, turn + index));
      assert.ok(sender.congested);
      assert.deepEqual(sink.taken, []);
      sink.open = true;
      sink.onWritable?.();
      assert.ok(!sender.congested);
      assert.deepEqual(Buffer.concat(sink.taken.splice(0)), Buffer.concat(frames));
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 40 * LANE_BACKLOG_BYTES);
  });
});
