import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allocatedPerRun } from "../allocation.ts";
import { Coalescer } from "./coalesce.ts";
import { checkOffload } from "./offload.ts";
import { extension, ipv4, ipv6, tcp } from "./fixture.ts";
import { bytesOf, flows, framed, framesIn, gsoHeader, opened, packetOf } from "./offload-fixture.ts";
import { segment, segmentedSize } from "./segment.ts";
import { PacketView } from "./view.ts";
import { VNET_HEADER, VnetHeader } from "./vnet-header.ts";

const MTU = 1500;

/** What `segment` makes of a packet with this header. */
function segments(header: VnetHeader, packet: Uint8Array, mtu = MTU): Uint8Array[] {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  assert.equal(checkOffload(header, view, mtu), undefined);
  const out = new Uint8Array(5 + segmentedSize(header, view));
  assert.equal(segment(header, view, packet, out, 5), out.length);
  return framesIn(out.subarray(5));
}

describe("segment", () => {
  for (const flow of flows) {
    test(`${flow.name}: what a network card would send`, () => {
      const sizes = fc.integer({ min: 48, max: 1_400 });
      fc.assert(
        fc.property(
          sizes,
          fc.integer({ min: 1, max: 64 }),
          fc.nat(0xffff_ffff),
          fc.constantFrom(0x10, 0x18, 0x19, 0x90, 0x99),
          (size, whole, start, flags) => {
            const data = bytesOf(Math.min(size * whole - (start % size), 65_000));
            const expected: Uint8Array[] = [];
            for (let at = 0; at < data.length; at += size) {
              const last = at + size >= data.length;
              const own = flags & (at === 0 ? 0xff : 0x7f) & (last ? 0xff : ~0x09);
              const seq = (start + at) % 2 ** 32;
              expected.push(
                packetOf(flow, {
                  id: (start + expected.length) & 0xffff,
                  seq,
                  flags: own,
                  data: data.slice(at, at + size),
                }),
              );
            }
            const big = opened(packetOf(flow, { id: start & 0xffff, seq: start, flags, data }), flow);
            const found = segments(gsoHeader(flow, size), big);
            assert.equal(found.length, expected.length);
            for (const [i, packet] of found.entries()) assert.deepEqual(Buffer.from(packet), Buffer.from(expected[i]!));
          },
        ),
        { numRuns: 15 },
      );
    });

    test(`${flow.name}: a packet that is no super-packet gets its checksum`, () => {
      const packet = packetOf(flow, { id: 5, seq: 6, flags: 0x18, data: [1, 2, 3] });
      const header = Object.assign(gsoHeader(flow, 0), { gsoType: 0 });
      assert.deepEqual(segments(header, opened(packet, flow)), [packet]);
      assert.deepEqual(segments(gsoHeader(flow, 1_000), opened(packet, flow)), [packet]);
      assert.deepEqual(segments(new VnetHeader(), packet), [packet]);
    });
  }

  test("extension headers and IPv4 options go into every segment", () => {
    const data = bytesOf(300);
    const six = ipv6({ protocol: 60, payload: [...extension(6), ...tcp({ data })] });
    for (const packet of segments(Object.assign(gsoHeader(flows[2]!, 100), { csumStart: 48 }), six)) {
      assert.deepEqual(packet.subarray(40, 48), Uint8Array.from(extension(6)));
      assert.equal(packet.length, 168);
    }
    const four = ipv4({ protocol: 6, options: [148, 4, 0, 0], payload: tcp({ data }) });
    for (const packet of segments(Object.assign(gsoHeader(flows[0]!, 100), { csumStart: 24 }), four)) {
      assert.deepEqual([packet[0], packet[20], packet.length], [0x46, 148, 144]);
    }
  });

  test("allocates nothing", () => {
    const flow = flows[1]!;
    const packet = opened(packetOf(flow, { id: 1, seq: 1, flags: 0x18, data: bytesOf(300) }), flow);
    const view = new PacketView();
    const header = gsoHeader(flow, 100);
    assert.ok(view.parse(packet, 0, packet.length));
    assert.equal(checkOffload(header, view, MTU), undefined);
    const out = new Uint8Array(segmentedSize(header, view));
    const bytes = allocatedPerRun(() => void segment(header, view, packet, out, 0));
    assert.ok(bytes < 1, `${bytes} bytes for 3 segments`);
  });
});

/** Runs of one flow with all kinds of things between that end a run. */
const streams = fc
  .tuple(
    fc.constantFrom(...flows),
    fc.integer({ min: 48, max: 700 }),
    fc.nat(0xffff_ffff),
    fc.array(fc.nat(30), { maxLength: 60 }),
  )
  .map(([flow, size, start, events]) => {
    const packets: Uint8Array[] = [];
    let seq = start;
    let id = start & 0xffff;
    for (const event of events) {
      const length = event === 0 ? 1 + (seq % size) : event === 1 ? size + 10 : event === 2 ? 0 : size;
      const flags =
        event === 3 ? 0x18 : event === 4 ? 0x19 : event === 5 ? 0x90 : event === 6 ? 0x12 : event === 14 ? 0x50 : 0x10;
      if (event === 7) seq = (seq + 1) % 2 ** 32;
      if (event === 8) id = (id + 1) & 0xffff;
      const packet = packetOf(flow, { id, seq, flags, data: bytesOf(length) });
      if (event === 9) packet[packet.length - 1]! ^= 0x40;
      if (event === 10 && flow.version === 4) packet[11]! ^= 1;
      if (event === 11) packet[flow.version === 4 ? 8 : 7] = 9;
      if (event === 12) packet.set([0xff, 0xff], flow.version === 4 ? 10 : 4);
      if (event === 13) packet[0] = 0x50;
      packets.push(packet);
      seq = (seq + length) % 2 ** 32;
      id = (id + 1) & 0xffff;
    }
    return packets;
  });

const ALL = { tso4: true, tso6: true, uso: true };

/** Coalesces in as many calls as `room` in the output makes necessary. */
function coalesced(packets: readonly Uint8Array[], room: number, features = ALL): Uint8Array[] {
  const slab = framed(packets);
  const coalescer = new Coalescer(features);
  const frames: Uint8Array[] = [];
  for (let from = 0; from < slab.length; from = coalescer.next) {
    const out = new Uint8Array(3 + room);
    const end = coalescer.run(slab, from, slab.length, out, 3);
    assert.ok(coalescer.next > from, "a run goes on");
    frames.push(...framesIn(out.subarray(3, end)));
  }
  return frames;
}

describe("Coalescer", () => {
  test("segment(coalesce(x)) is x, byte for byte", () => {
    fc.assert(
      fc.property(
        fc.array(streams, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1_000, max: 100_000 }),
        (parts, room) => {
          const packets = parts.flat();
          const header = new VnetHeader();
          const view = new PacketView();
          const back: Uint8Array[] = [];
          for (const frame of coalesced(packets, room)) {
            header.read(frame, 0);
            const packet = frame.slice(VNET_HEADER);
            if (header.flags === 0) back.push(packet);
            else {
              assert.ok(view.parse(packet, 0, packet.length));
              back.push(...segments(header, packet));
            }
          }
          assert.equal(back.length, packets.length);
          for (const [i, packet] of back.entries()) assert.deepEqual(Buffer.from(packet), Buffer.from(packets[i]!));
        },
      ),
      { numRuns: 200 },
    );
  });

  for (const flow of flows) {
    test(`${flow.name}: a run is one super-packet`, () => {
      const packets = Array.from({ length: 20 }, (_, i) =>
        packetOf(flow, {
          id: 65_530 + i,
          seq: (2 ** 32 - 5_000 + 1_000 * i) % 2 ** 32,
          flags: i === 19 ? 0x18 : 0x10,
          data: bytesOf(i === 19 ? 10 : 1_000),
        }),
      );
      const frames = coalesced(packets, 100_000);
      assert.equal(frames.length, 1);
      const view = new PacketView();
      const header = new VnetHeader();
      header.read(frames[0]!, 0);
      assert.ok(view.parse(frames[0]!, VNET_HEADER, frames[0]!.length));
      const { hdrLen } = header;
      assert.equal(checkOffload(header, view, MTU), undefined);
      assert.equal(header.hdrLen, hdrLen);
      assert.equal(view.tcpFlags, flow.protocol === 6 ? 0x18 : 0);
      assert.equal(view.totalLength, header.hdrLen + 19_010);
    });

    test(`${flow.name}: a device without that offload gets single packets`, () => {
      const packets = Array.from({ length: 3 }, (_, i) =>
        packetOf(flow, { id: i, seq: 1_000 * i, flags: 0x10, data: bytesOf(1_000) }),
      );
      const zeros = packets.map((packet) => Uint8Array.from([...new Uint8Array(VNET_HEADER), ...packet]));
      assert.deepEqual(coalesced(packets, 100_000, { tso4: false, tso6: false, uso: false }), zeros);
    });
  }

  test("no super-packet is larger than a frame, or has more than 64 datagrams", () => {
    const tcpFlow = flows[0]!;
    const many = Array.from({ length: 100 }, (_, i) =>
      packetOf(tcpFlow, { id: i, seq: 1_400 * i, flags: 0x10, data: bytesOf(1_400) }),
    );
    assert.deepEqual(
      coalesced(many, 1_000_000).map((frame) => Math.ceil((frame.length - VNET_HEADER - 40) / 1_400)),
      [46, 46, 8],
    );
    const udpFlow = flows[3]!;
    const datagrams = Array.from({ length: 100 }, (_, i) =>
      packetOf(udpFlow, { id: i, seq: 0, flags: 0, data: bytesOf(100) }),
    );
    assert.deepEqual(
      coalesced(datagrams, 1_000_000).map((frame) => Math.ceil((frame.length - VNET_HEADER - 28) / 100)),
      [64, 36],
    );
  });

  test("a frame too long for the header is left out", () => {
    const huge = ipv4({ protocol: 47, payload: new Uint8Array(65_510) });
    const small = ipv4({ protocol: 47 });
    assert.deepEqual(
      coalesced([huge, small], 200_000).map((frame) => frame.length),
      [VNET_HEADER + small.length],
    );
  });

  test("allocates nothing", () => {
    const flow = flows[1]!;
    const slab = framed(
      Array.from({ length: 4 }, (_, i) => packetOf(flow, { id: i, seq: 100 * i, flags: 0x10, data: bytesOf(100) })),
    );
    const out = new Uint8Array(2_000);
    const coalescer = new Coalescer(ALL);
    const bytes = allocatedPerRun(() => void coalescer.run(slab, 0, slab.length, out, 0));
    assert.ok(bytes < 1, `${bytes} bytes for 4 packets`);
  });
});
