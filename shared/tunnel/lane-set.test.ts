import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allocatedPerRun } from "../allocation.ts";
import { fragmentHeader, hex, ipv4, ipv6, udp } from "../packet/fixture.ts";
import { PacketView } from "../packet/view.ts";
import { countFrames } from "./frame.ts";
import { laneOf, LaneSet } from "./lane-set.ts";
import { RunList } from "./run-list.ts";

/** A slab with `front` bytes before the frames of `packets`, each behind `vnet` zero bytes. */
function slabOf(packets: readonly Uint8Array[], front = 16, vnet = 0): Uint8Array {
  const frames = packets.map((packet) => {
    const length = vnet + packet.length;
    return Buffer.concat([Buffer.from([length >> 8, length & 255]), Buffer.alloc(vnet), packet]);
  });
  return Uint8Array.from(Buffer.concat([Buffer.alloc(front), ...frames]));
}

const flow = (port: number): Uint8Array => ipv4({ payload: udp(port, 443) });
const pairs = (runs: RunList): number[] => [...runs.ranges.subarray(2, 2 * runs.count)];

describe("RunList", () => {
  test("joins what is adjacent, keeps the rest apart, and grows", () => {
    const runs = new RunList();
    runs.add(16, 20);
    runs.add(20, 24);
    runs.add(30, 34);
    assert.deepEqual(pairs(runs), [16, 24, 30, 34]);
    assert.deepEqual([runs.count, runs.bytes, runs.frames], [3, 12, 3]);
    for (let i = 0; i < 1_000; i++) runs.add(100 + 10 * i, 104 + 10 * i);
    assert.equal(runs.count, 1_003);
    assert.deepEqual(pairs(runs).slice(-2), [10_090, 10_094]);
    runs.clear();
    assert.deepEqual([runs.count, runs.bytes, runs.frames], [1, 0, 0]);
  });

  test("a first run at 0 is not taken for a neighbour of the header's pair", () => {
    const runs = new RunList();
    runs.add(0, 4);
    assert.deepEqual(pairs(runs), [0, 4]);
  });
});

describe("LaneSet", () => {
  test("every frame once, in order, all of a flow on one lane, whatever the packets", () => {
    const packet = fc.oneof(
      fc.integer({ min: 1, max: 40 }).map(flow),
      fc.integer({ min: 1, max: 40 }).map((port) => ipv6({ payload: udp(port, 53) })),
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
    );
    fc.assert(
      fc.property(
        fc.array(packet, { maxLength: 60 }),
        fc.integer({ min: 1, max: 64 }),
        fc.boolean(),
        (packets, lanes, vnet) => {
          const slab = slabOf(packets, 16, vnet ? 10 : 0);
          const set = new LaneSet(lanes);
          const view = new PacketView();
          set.gather(view, slab, 16, slab.length, vnet);
          const good = packets.filter((bytes) => view.parse(bytes, 0, bytes.length));
          assert.equal(set.malformed, packets.length - good.length);
          const found = Array.from({ length: lanes }, (): string[] => []);
          set.lanes.forEach((runs, lane) => {
            let bytes = 0;
            for (let pair = 1; pair < runs.count; pair++) {
              const [from, to] = [runs.ranges[2 * pair]!, runs.ranges[2 * pair + 1]!];
              bytes += to - from;
              for (let at = from; at < to;) {
                const next = at + 2 + slab[at]! * 256 + slab[at + 1]!;
                found[lane]!.push(Buffer.from(slab.subarray(at + 2 + (vnet ? 10 : 0), next)).toString("hex"));
                at = next;
              }
            }
            assert.equal(runs.bytes, bytes);
            assert.equal(runs.frames, found[lane]!.length);
          });
          const expected = Array.from({ length: lanes }, (): string[] => []);
          for (const bytes of good) {
            view.parse(bytes, 0, bytes.length);
            expected[laneOf(view, lanes)]!.push(Buffer.from(bytes).toString("hex"));
          }
          assert.deepEqual(found, expected);
        },
      ),
    );
  });

  test("one lane and good packets: one run", () => {
    const slab = slabOf([flow(1), flow(2), flow(3)]);
    const set = new LaneSet(1);
    set.gather(new PacketView(), slab, 16, slab.length, false);
    assert.deepEqual(pairs(set.lanes[0]!), [16, slab.length]);
    assert.equal(countFrames(slab, 16, slab.length), 3);
  });

  test("both directions of a flow share a lane, and flows spread over the lanes", () => {
    const view = new PacketView();
    const lane = (packet: Uint8Array): number => {
      assert.ok(view.parse(packet, 0, packet.length));
      return laneOf(view, 8);
    };
    for (const packet of [ipv4, ipv6]) {
      const [one, other] = packet === ipv4 ? ["10.77.0.2", "192.0.2.9"] : ["fd77::2", "2001:db8::9"];
      const used = new Set<number>();
      for (let port = 40_000; port < 40_200; port++) {
        const there = lane(packet({ src: one!, dst: other!, payload: udp(port, 443) }));
        assert.equal(lane(packet({ src: other!, dst: one!, payload: udp(443, port) })), there);
        used.add(there);
      }
      assert.equal(used.size, 8);
    }
  });

  test("all fragments of a datagram share a lane", () => {
    const view = new PacketView();
    const lanes = [
      ipv6({ protocol: 44, payload: [...fragmentHeader(17, 0, true, 5), ...udp(1, 2)] }),
      ipv6({ protocol: 44, payload: [...fragmentHeader(17, 8, false, 5), 1, 2, 3] }),
    ].map((packet) => {
      assert.ok(view.parse(packet, 0, packet.length));
      return laneOf(view, 64);
    });
    assert.equal(lanes[0], lanes[1]);
  });

  test("a frame that is cut off, or too short for its header, harms nothing", () => {
    const set = new LaneSet(2);
    for (const bytes of ["0005 45", "00", "0001 45 0001"]) {
      const slab = hex(bytes);
      set.gather(new PacketView(), slab, 0, slab.length, true);
      assert.deepEqual(
        set.lanes.map((runs) => runs.count),
        [1, 1],
      );
    }
    assert.equal(set.malformed, 1);
  });

  for (const count of [0, 65, 1.5]) {
    test(`${count} lanes are a RangeError`, () =>
      assert.throws(() => new LaneSet(count), {
        name: "RangeError",
        message: `a session cannot have ${count} lanes: expected 1 to 64`,
      }));
  }

  test("gathering allocates nothing", () => {
    const slab = slabOf(Array.from({ length: 5 }, (_, i) => flow(i)));
    const set = new LaneSet(8);
    const view = new PacketView();
    const bytes = allocatedPerRun(() => set.gather(view, slab, 16, slab.length, false));
    assert.ok(bytes < 1, `${bytes} bytes for 5 frames`);
  });
});
