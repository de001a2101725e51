import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { READ_END, READ_RESET, WRITE_CLOSED } from "../native/quic.ts";
import {
  CUT_PACKETS_PER_FRAME,
  FRAME_WORK_BYTES,
  LANE_BACKLOG_BYTES,
  MAX_FRAME_LENGTH,
  SLAB_BYTES,
  SLAB_HEADROOM,
  TURN_BYTES,
  TURN_MS,
} from "./constants.ts";
import { putFrameLength } from "./frame.ts";
import type { FrameReader } from "./frame.ts";
import { LanePump, LaneTurns } from "./lane-pump.ts";
import type { LaneSource } from "./lane-pump.ts";
import { LaneSender } from "./lane-sender.ts";
import type { LaneSink } from "./lane-sender.ts";
import { RunList } from "./run-list.ts";
import { newSlab } from "./slab.ts";

/** A stream that takes writes while it is `open`, as QUIC does between its water marks. */
class Sink implements LaneSink {
  onWritable: (() => void) | undefined;
  open = true;
  closed = false;
  readonly sent: number[] = [];

  writeBody(slab: Uint8Array, from: number, to: number): number {
    if (this.closed) return WRITE_CLOSED;
    if (!this.open) return 0;
    this.sent.push(...slab.subarray(from, to));
    return to - from;
  }

  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    if (this.closed) return WRITE_CLOSED;
    if (!this.open) return 0;
    let taken = 0;
    for (let pair = 1; pair < count; pair++) taken += this.writeBody(slab, ranges[2 * pair]!, ranges[2 * pair + 1]!);
    return taken;
  }
}

/** A stream that gives what it is told to, in pieces of any size, then blocks or ends. */
class Source implements LaneSource {
  onReadable: (() => void) | undefined;
  #pieces: Uint8Array[] = [];
  end = 0;
  reads = 0;

  give(...pieces: Uint8Array[]): void {
    this.#pieces.push(...pieces);
  }

  readBody(slab: Uint8Array, from: number, to: number): number {
    this.reads++;
    const piece = this.#pieces.shift();
    if (piece === undefined) return this.end;
    const part = piece.subarray(0, to - from);
    slab.set(part, from);
    if (part.length < piece.length) this.#pieces.unshift(piece.subarray(part.length));
    return part.length;
  }
}

function frame(...packet: number[]): Uint8Array {
  return Uint8Array.of(packet.length >>> 8, packet.length & 0xff, ...packet);
}

/** Packets of `count` frames of `size` bytes, as a slab and the list of its one run. */
function framesOf(count: number, size: number): { slab: Uint8Array; runs: RunList } {
  const slab = newSlab();
  const runs = new RunList();
  let at = SLAB_HEADROOM;
  for (let index = 0; index < count; index++) {
    putFrameLength(slab, at, size);
    runs.add(at, at + 2 + size);
    at += 2 + size;
  }
  return { slab, runs };
}

test("a sender passes runs on while the stream takes them", () => {
  const stream = new Sink();
  const sender = new LaneSender(stream);
  const { slab, runs } = framesOf(3, 4);
  assert.equal(sender.send(slab, runs), 0);
  assert.equal(stream.sent.length, 3 * 6);
  assert.equal(sender.congested, false);
});

test("a sender keeps order through its backlog, and says when it is drained", () => {
  const stream = new Sink();
  const sender = new LaneSender(stream);
  let drained = 0;
  sender.onDrained = () => drained++;
  const first = framesOf(2, 4);
  first.slab.fill(1, SLAB_HEADROOM + 2, SLAB_HEADROOM + 6);
  const second = framesOf(1, 4);
  second.slab.fill(2, SLAB_HEADROOM + 2, SLAB_HEADROOM + 6);
  stream.open = false;
  assert.equal(sender.send(first.slab, first.runs), 0);
  stream.open = true;
  assert.equal(sender.send(second.slab, second.runs), 0, "behind the backlog, though the stream is open");
  assert.deepEqual([sender.congested, sender.backlogBytes, stream.sent.length], [true, 18, 0]);
  stream.onWritable?.();
  assert.deepEqual([sender.congested, sender.backlogBytes, drained], [false, 0, 1]);
  assert.deepEqual(stream.sent, [0, 4, 1, 1, 1, 1, 0, 4, 0, 0, 0, 0, 0, 4, 2, 2, 2, 2]);
});

test("a full backlog drops and counts, and never grows", () => {
  const stream = new Sink();
  stream.open = false;
  const sender = new LaneSender(stream);
  const { slab, runs } = framesOf(100, 1500);
  let dropped = 0;
  for (let burst = 0; burst < 10; burst++) dropped += sender.send(slab, runs);
  assert.equal(dropped, 900, "one burst fits, the others do not");
  assert.ok(sender.backlogBytes <= LANE_BACKLOG_BYTES);
});

test("a closed stream drops everything and drains nothing", () => {
  const stream = new Sink();
  const sender = new LaneSender(stream);
  const { slab, runs } = framesOf(2, 10);
  stream.open = false;
  sender.send(slab, runs);
  stream.closed = true;
  stream.onWritable?.();
  assert.equal(sender.congested, false);
  assert.equal(sender.send(slab, runs), 2);
});

/** What a pump hands on: each packet's bytes, then how the lane ended. */
function collect(): { packets: number[][]; ends: string[]; sink: Parameters<LanePump["attach"]>[2] } {
  const packets: number[][] = [];
  const ends: string[] = [];
  const sink = {
    frames: (slab: Uint8Array, _from: number, reader: FrameReader): void => {
      while (reader.next()) packets.push([...slab.subarray(reader.from, reader.to)]);
    },
    ended: (reason: string) => void ends.push(`ended: ${reason}`),
    broken: (reason: string) => void ends.push(`broken: ${reason}`),
  };
  return { packets, ends, sink };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a pump puts frames together again, wherever the stream cut them", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      async (packets, cuts) => {
        const bytes = Uint8Array.from(packets.flatMap((packet) => [...frame(...packet)]));
        const source = new Source();
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const size = cuts[cut % cuts.length]!;
          source.give(bytes.subarray(at, at + size));
          at += size;
        }
        source.end = READ_END;
        const got = collect();
        new LanePump().attach(source, 1500, got.sink);
        while (got.ends.length === 0) await settled();
        assert.deepEqual(
          got.packets,
          packets.map((packet) => [...packet]),
        );
        assert.deepEqual(got.ends, ["ended: the peer ended the lane"]);
      },
    ),
    { numRuns: 200 },
  );
});

const endings: readonly { name: string; pieces: Uint8Array[]; end: number; expect: string }[] = [
  { name: "an empty frame", pieces: [frame()], end: 0, expect: "broken: empty frame" },
  { name: "a frame longer than agreed", pieces: [Uint8Array.of(0x05, 0xdd)], end: 0, expect: "broken: frame too long" },
  {
    name: "an end inside a frame",
    pieces: [Uint8Array.of(0, 9, 1)],
    end: READ_END,
    expect: "broken: the lane ended 3 bytes into a frame",
  },
  { name: "an end between frames", pieces: [frame(1)], end: READ_END, expect: "ended: the peer ended the lane" },
  { name: "a reset", pieces: [frame(1)], end: READ_RESET, expect: "ended: the peer reset the lane" },
];

for (const { name, pieces, end, expect } of endings) {
  test(`a pump reports ${name}, once`, async () => {
    const source = new Source();
    source.give(...pieces);
    source.end = end;
    const got = collect();
    new LanePump().attach(source, 1500, got.sink);
    await settled();
    await settled();
    assert.deepEqual(got.ends, [expect]);
    assert.equal(source.onReadable, undefined);
  });
}

/** Frames of a turn that were read in one piece, and one by one. */
const TURN_FRAMES = TURN_BYTES / FRAME_WORK_BYTES;
const SINGLE_FRAMES = TURN_FRAMES / 2;

/** Which source each packet came from, in the order in which a pump hands them on; `sources` by their sessions. */
async function orderOf(...sessions: readonly (readonly Source[])[]): Promise<number[]> {
  const pump = new LanePump();
  const order: number[] = [];
  const frames = (slab: Uint8Array, _from: number, reader: FrameReader): void => {
    while (reader.next()) order.push(slab[reader.from]!);
  };
  for (const sources of sessions) {
    const turns = new LaneTurns();
    for (const source of sources) pump.attach(source, 1500, { ...collect().sink, frames }, turns);
  }
  for (let before = -1; before < order.length; await settled()) {
    before = order.length;
    await settled();
  }
  return order;
}

/** One whose packets hold its number; in one piece or in one for each. */
function numbered(number: number, frames: number, pieces: "one" | "each" = "each"): Source {
  const source = new Source();
  const all = Array.from({ length: frames }, () => frame(number));
  if (pieces === "one") source.give(Buffer.concat(all));
  else source.give(...all);
  return source;
}

test("a session that never stops waits its turn behind the others, however many lanes it has", async () => {
  const greedy = [1, 2, 3, 4].map((number) => numbered(number, 2 * SINGLE_FRAMES));
  const order = await orderOf(greedy, [numbered(9, 1)]);
  assert.equal(order.indexOf(9), SINGLE_FRAMES);
  assert.equal(order.length, 8 * SINGLE_FRAMES + 1);
});

test("the lanes of a session take turns", async () => {
  const order = await orderOf([1, 2].map((number) => numbered(number, 2 * SINGLE_FRAMES)));
  const turns = Array.from({ length: 4 }, (_, turn) => order[turn * SINGLE_FRAMES]);
  assert.deepEqual(turns, [1, 2, 1, 2]);
});

test("small frames are taken in many turns, also behind large ones that made the reads long", async () => {
  const largest = frame(...new Uint8Array(60_000));
  const small = Math.floor(SLAB_BYTES / frame(1).length);
  const source = numbered(1, 40);
  source.give(Buffer.concat(Array<Uint8Array>(40).fill(largest)));
  source.give(new Uint8Array(SLAB_BYTES).map((_, at) => (at % frame(1).length === 1 ? 1 : 0)));
  const counts: number[] = [];
  const frames = (_slab: Uint8Array, _from: number, reader: FrameReader): void => {
    reader.skip();
    counts.push(reader.count);
  };
  const greedy = collect();
  new LanePump().attach(source, MAX_FRAME_LENGTH, { ...greedy.sink, frames });
  let turns = 0;
  for (let before = -1; before < counts.length; turns++, await settled()) before = counts.length;
  assert.ok(Math.max(...counts) <= TURN_FRAMES, String(Math.max(...counts)));
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    40 + 40 + small,
  );
  assert.ok(turns > small / TURN_FRAMES, `${turns} turns`);
  assert.deepEqual(greedy.ends, []);
});

test("a turn is short also where super-packets have to be cut", async () => {
  let cut = 0;
  const [pieces, count] = [64, 400];
  const source = new Source();
  source.give(Buffer.concat(Array<Uint8Array>(count).fill(frame(...new Uint8Array(3_000)))));
  const frames = (_slab: Uint8Array, _from: number, reader: FrameReader): void => {
    reader.skip();
    reader.cutPackets += pieces * reader.count;
    cut += pieces * reader.count;
  };
  new LanePump(() => 0).attach(source, MAX_FRAME_LENGTH, { ...collect().sink, frames });
  let most = 0;
  for (let before = -1; before < cut;) {
    before = cut;
    await settled();
    most = Math.max(most, cut - before);
  }
  assert.equal(cut, pieces * count);
  assert.ok(most <= 2 * TURN_FRAMES * CUT_PACKETS_PER_FRAME, `${most} packets`);
});

test("frames that wait are handed on before the end of their lane is", async () => {
  const source = numbered(1, 3 * TURN_FRAMES, "one");
  source.end = READ_END;
  const got = collect();
  new LanePump().attach(source, 1500, got.sink);
  while (got.ends.length === 0) await settled();
  assert.equal(got.packets.length, 3 * TURN_FRAMES);
  assert.deepEqual(got.ends, ["ended: the peer ended the lane"]);
});

test("who needs less than a turn in its time never waits", async () => {
  let nowMs = 0;
  const pump = new LanePump(() => nowMs);
  const source = new Source();
  const { packets, sink } = collect();
  pump.attach(source, 1500, sink);
  await settled();
  for (let sent = 1; sent <= 3 * SINGLE_FRAMES; sent++, nowMs += TURN_MS) {
    source.give(frame(1));
    source.onReadable?.();
    assert.equal(packets.length, sent);
  }
  for (let sent = 0; sent <= SINGLE_FRAMES; sent++) {
    source.give(frame(1));
    source.onReadable?.();
  }
  assert.equal(packets.length, 4 * SINGLE_FRAMES, "and who needs more does");
});
