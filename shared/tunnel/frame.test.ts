import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FRAME_HEADER, MAX_FRAME_LENGTH } from "./constants.ts";
import { countFrames, FrameReader, putFrameLength } from "./frame.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

/** Feeds `chunks` through one slab and returns the frames' contents. */
function readAll(reader: FrameReader, chunks: readonly Uint8Array[], front: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (const chunk of chunks) {
    const slab = new Uint8Array(front + FRAME_HEADER + MAX_FRAME_LENGTH + chunk.length).fill(0xaa);
    const at = reader.load(slab, front);
    slab.set(chunk, at);
    reader.scan(at + chunk.length);
    while (reader.next()) frames.push(slab.slice(reader.from, reader.to));
    reader.keep();
  }
  return frames;
}

describe("FrameReader", () => {
  const cases = [
    { name: "nothing", bytes: "", frames: [], pending: 0, fault: undefined },
    { name: "half a length", bytes: "00", frames: [], pending: 1, fault: undefined },
    { name: "a length and no packet", bytes: "0003", frames: [], pending: 2, fault: undefined },
    { name: "all but the last byte", bytes: "0003 4500", frames: [], pending: 4, fault: undefined },
    { name: "one frame", bytes: "0003 450001", frames: ["450001"], pending: 0, fault: undefined },
    {
      name: "a frame of the longest length",
      bytes: "0004 45000102",
      frames: ["45000102"],
      pending: 0,
      fault: undefined,
    },
    {
      name: "two and a half",
      bytes: "0001 45 0002 4601 0003 47",
      frames: ["45", "4601"],
      pending: 3,
      fault: undefined,
    },
    { name: "an empty frame", bytes: "0001 45 0000 0001 46", frames: ["45"], pending: 0, fault: "empty frame" },
    { name: "a frame too long by one", bytes: "0001 45 0005", frames: ["45"], pending: 0, fault: "frame too long" },
  ] as const;
  for (const { name, bytes, frames, pending, fault } of cases) {
    test(name, () => {
      const reader = new FrameReader(4);
      assert.deepEqual(readAll(reader, [hex(bytes)], 16), frames.map(hex));
      assert.equal(reader.pending, pending);
      assert.equal(reader.fault, fault);
    });
  }

  test("a fault is for good", () => {
    const reader = new FrameReader(4);
    readAll(reader, [hex("0000")], 0);
    assert.deepEqual(readAll(reader, [hex("0001 45")], 0), []);
    assert.equal(reader.fault, "empty frame");
  });

  test("skip passes all whole frames and says where the last one ends", () => {
    const reader = new FrameReader(1500);
    const slab = hex("ffff 0001 45 0002 4601 0003 47");
    assert.equal(reader.load(slab, 2), 2);
    reader.scan(slab.length);
    assert.equal(reader.skip(), 9);
    reader.keep();
    assert.equal(reader.pending, 3);
  });

  test("a read that brings nothing loses nothing", () => {
    const reader = new FrameReader(1500);
    readAll(reader, [hex("0003 45")], 0);
    reader.load(new Uint8Array(2000), 0);
    reader.load(new Uint8Array(2000), 0);
    assert.deepEqual(readAll(reader, [hex("0001")], 7), [hex("450001")]);
  });

  test("a caller that stops early gets the rest later", () => {
    const reader = new FrameReader(1500);
    const slab = hex("0001 45 0001 46 0001 47");
    reader.load(slab, 0);
    reader.scan(slab.length);
    assert.equal(reader.next(), true);
    reader.keep();
    assert.deepEqual(readAll(reader, [hex("00")], 3), [hex("46"), hex("47")]);
  });

  for (const length of [0, -1, 1.5, 65_536]) {
    test(`a longest frame of ${length} is a RangeError`, () =>
      assert.throws(() => new FrameReader(length), {
        name: "RangeError",
        message: `the longest frame is ${length} bytes: expected 1 to 65535`,
      }));
  }

  test("readers that keep a part now and then share a buffer, and keep nothing of each other's", () => {
    const before = process.memoryUsage().arrayBuffers;
    const slab = new Uint8Array(FRAME_HEADER + MAX_FRAME_LENGTH);
    const readers = [new FrameReader(MAX_FRAME_LENGTH), new FrameReader(MAX_FRAME_LENGTH)];
    for (let turn = 0; turn < 1_000; turn++) {
      const reader = readers[turn % 2]!;
      const kept = 40_000 + turn;
      putFrameLength(slab, reader.load(slab, 0), MAX_FRAME_LENGTH);
      slab.fill(turn, FRAME_HEADER, kept);
      reader.scan(kept);
      assert.ok(!reader.next());
      reader.keep();
      slab.fill(0);
      assert.equal(reader.load(slab, 0), kept);
      reader.scan(slab.length);
      assert.ok(reader.next());
      assert.equal(slab.indexOf(0, FRAME_HEADER), turn % 256 === 0 ? FRAME_HEADER : kept);
      reader.keep();
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 100 * MAX_FRAME_LENGTH);
  });

  test("round trip over any cut into chunks", () => {
    const packet = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
        fc.nat(20),
        (packets, sizes, front) => {
          const stream = Buffer.concat(
            packets.map((bytes) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])),
          );
          const chunks: Uint8Array[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = sizes[i % sizes.length]!;
            chunks.push(stream.subarray(at, at + size));
            at += size;
          }
          const reader = new FrameReader(300);
          assert.deepEqual(readAll(reader, chunks, front), packets);
          assert.equal(reader.pending, 0);
        },
      ),
    );
  });

  test("random bytes end in frames of legal length, a kept part of less than a frame, or a fault", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }),
        fc.integer({ min: 1, max: 65_535 }),
        (chunks, longest) => {
          const reader = new FrameReader(longest);
          for (const frame of readAll(reader, chunks, 0)) assert.ok(frame.length >= 1 && frame.length <= longest);
          assert.ok(reader.pending < FRAME_HEADER + longest);
        },
      ),
    );
  });
});

test("countFrames and putFrameLength", () => {
  const slab = new Uint8Array(10);
  putFrameLength(slab, 1, 4);
  putFrameLength(slab, 7, 1);
  assert.deepEqual(slab, hex("00 0004 00000000 0001 00"));
  assert.equal(countFrames(slab, 1, 10), 2);
  assert.equal(countFrames(slab, 1, 1), 0);
});
