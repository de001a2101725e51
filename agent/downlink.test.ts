import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeTun } from "../shared/native/fake-tun.ts";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { bytesOf, flows, framed, framesIn, gsoHeader, opened, packetOf } from "../shared/packet/offload-fixture.ts";
import { PacketView } from "../shared/packet/view.ts";
import { VNET_HEADER, VnetHeader } from "../shared/packet/vnet-header.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { SLAB_HEADROOM, ZGATE_VERSION } from "../shared/tunnel/constants.ts";
import { FrameReader } from "../shared/tunnel/frame.ts";
import { maxFrameLength } from "../shared/tunnel/negotiation.ts";
import type { Offload, SessionAgreement } from "../shared/tunnel/negotiation.ts";
import { newSlab } from "../shared/tunnel/slab.ts";
import { tunMtu } from "../shared/units.ts";
import { Downlink } from "./downlink.ts";

const MTU = tunMtu(1400);
const agreed = (offload: Offload): SessionAgreement => ({ version: ZGATE_VERSION, lanes: 1, offload, mtu: MTU });

/** An agent's end of one lane, whose bytes come as the test says. */
class Lane {
  readonly tun: FakeTun;
  readonly downlink: Downlink;
  readonly #reader: FrameReader;
  readonly #write: ReturnType<Downlink["writerFor"]>;
  readonly #slab = newSlab();

  constructor(device: "plain" | "offload", offload: Offload) {
    this.tun = new FakeTun(device);
    this.downlink = new Downlink(new DeviceWriter(this.tun, () => undefined));
    this.#reader = new FrameReader(maxFrameLength(agreed(offload)));
    this.#write = this.downlink.writerFor(agreed(offload));
  }

  /** Bytes of the lane, as one read gives them. Returns the fault, if there is one. */
  read(bytes: Uint8Array): string | undefined {
    const reader = this.#reader;
    const at = reader.load(this.#slab, SLAB_HEADROOM);
    this.#slab.set(bytes, at);
    reader.scan(at + bytes.length);
    this.#write(this.#slab, SLAB_HEADROOM, reader);
    reader.skip();
    reader.keep();
    return reader.fault;
  }
}

const packet = (port: number): Uint8Array => ipv4({ payload: udp(53, port, bytesOf(20)) });
const flow = flows[0]!;
const superPacket = opened(packetOf(flow, { id: 1, seq: 1, flags: 0x10, data: bytesOf(3000) }), flow);
const plain = (port: number): Uint8Array => behind(new VnetHeader(), packet(port));
const behind = (header: VnetHeader, bytes: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(VNET_HEADER + bytes.length);
  header.write(frame, 0);
  frame.set(bytes, VNET_HEADER);
  return frame;
};

describe("plain frames", () => {
  test("go to a plain device as they came, in one run", () => {
    const lane = new Lane("plain", "none");
    const bytes = framed([packet(1), packet(2), packet(3)]);
    assert.equal(lane.read(bytes), undefined);
    assert.deepEqual(lane.tun.written, [packet(1), packet(2), packet(3)]);
    assert.deepEqual(lane.tun.writes, [3]);
    assert.equal(lane.downlink.bytes, bytes.length);
  });

  test("are the same however the stream cuts them", () => {
    const packets = Array.from({ length: 20 }, (_, port) => packet(port));
    const all = framed(packets);
    const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 });
    const property = fc.property(sizes, fc.constantFrom("plain", "offload"), (pieces, device) => {
      const lane = new Lane(device, "none");
      for (let at = 0, piece = 0; at < all.length; piece++) {
        const to = at + pieces[piece % pieces.length]!;
        assert.equal(lane.read(all.subarray(at, to)), undefined);
        at = to;
      }
      assert.deepEqual(unwrapped(lane.tun), packets);
      assert.equal(lane.downlink.bytes, all.length);
    });
    fc.assert(property);
  });

  test("are coalesced for a device with offload, and come out of it as they went in", () => {
    const lane = new Lane("offload", "none");
    const segments = [0, 1, 2].map((index) =>
      packetOf(flow, { id: 1 + index, seq: 1 + index * 1000, flags: 0x10, data: bytesOf(1000) }),
    );
    lane.read(framed([...segments, packet(9)]));
    assert.equal(lane.tun.written.length, 2);
    assert.equal(lane.tun.written[0]?.length, VNET_HEADER + 40 + 3000);
    assert.deepEqual(lane.tun.written[1], plain(9));
  });

  for (const { name, bytes, fault } of [
    { name: "longer than the MTU", bytes: [(MTU + 1) >> 8, (MTU + 1) & 255], fault: "frame too long" },
    { name: "empty", bytes: [0, 0], fault: "empty frame" },
  ]) {
    test(`a frame that is ${name} ends the session; those before it are written`, () => {
      const lane = new Lane("plain", "none");
      assert.equal(lane.read(Uint8Array.of(...framed([packet(1)]), ...bytes)), fault);
      assert.deepEqual(lane.tun.written, [packet(1)]);
    });
  }
});

describe("frames with offload", () => {
  test("go to the device whole, neighbours in one run, their header set right", () => {
    const lane = new Lane("offload", "gso");
    const header = gsoHeader(flow, 1000);
    const frames = [plain(1), behind(header, superPacket), plain(2)];
    assert.equal(lane.read(framed(frames)), undefined);
    const right = behind(Object.assign(gsoHeader(flow, 1000), { hdrLen: 40 }), superPacket);
    assert.deepEqual(lane.tun.written, [withHeaderLength(plain(1)), right, withHeaderLength(plain(2))]);
    assert.deepEqual(lane.tun.writes, [3]);
    assert.equal(lane.downlink.bytes, framed(frames).length);
  });

  test("whose packet no IP stack would make are left out and counted, wherever they stand", () => {
    const bad = [behind(new VnetHeader(), Uint8Array.of(0x50, 0)), Uint8Array.of(1, 2, 3), plain(1).subarray(0, -1)];
    for (const [at, broken] of [0, 1, 2, 3].flatMap((place) => bad.map((frame) => [place, frame] as const))) {
      const lane = new Lane("offload", "gso");
      const good = [plain(1), plain(2), plain(3)];
      assert.equal(lane.read(framed(good.toSpliced(at, 0, broken))), undefined);
      assert.deepEqual(unwrapped(lane.tun), [packet(1), packet(2), packet(3)]);
      assert.equal(lane.downlink.malformed, 1);
      assert.equal(lane.downlink.bytes, framed(good).length);
    }
  });

  const none = { flags: 0, gsoType: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
  for (const { name, header, fault } of [
    { name: "has an unknown flag", header: { flags: 8 }, fault: "unknown flag" },
    { name: "is of an unknown kind", header: { gsoType: 3 }, fault: "unknown gso type" },
    { name: "is of another kind than its packet", header: { gsoType: 5 }, fault: "gso type against the packet" },
    { name: "has no checksum left open", header: { flags: 0 }, fault: "gso without checksum" },
    { name: "makes endless segments", header: { gsoSize: 1 }, fault: "gso size" },
    { name: "makes segments above the MTU", header: { gsoSize: MTU }, fault: "larger than the MTU" },
    { name: "calls a large packet a small one", header: none, fault: "larger than the MTU" },
    {
      name: "puts the checksum into an address",
      header: { ...none, flags: 1, csumStart: 12 },
      fault: "checksum place",
    },
  ]) {
    test(`a header that ${name} ends the session: what came before it is written, nothing behind it`, () => {
      const lane = new Lane("offload", "gso");
      const lie = behind(Object.assign(gsoHeader(flow, 1000), header), superPacket);
      assert.equal(lane.read(framed([plain(1), lie, plain(2)])), fault);
      assert.deepEqual(unwrapped(lane.tun), [packet(1)]);
      assert.equal(lane.read(framed([plain(3)])), fault);
      assert.equal(lane.tun.written.length, 1);
    });
  }

  test("never reach the device unchecked, whatever the bytes are", () => {
    const seed = framed([plain(1), behind(gsoHeader(flow, 1000), superPacket), plain(2)]);
    const change = fc.tuple(fc.nat(seed.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = seed.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        const lane = new Lane("offload", "gso");
        lane.read(bytes);
        for (const frame of lane.tun.written) {
          assert.ok(new PacketView().parse(frame, VNET_HEADER, frame.length));
          const header = new VnetHeader();
          header.read(frame, 0);
          assert.ok(header.gsoType !== 0 || frame.length - VNET_HEADER <= MTU);
          assert.equal(header.flags & ~1, 0);
        }
        const written = lane.tun.written.reduce((sum, { length }) => sum + 2 + length, 0);
        assert.equal(lane.downlink.bytes, written);
      }),
      { numRuns: 500 },
    );
  });
});

/** What was written, without the header that a device with offload gets. */
function unwrapped({ written, features }: FakeTun): Uint8Array[] {
  return features.vnetHeader ? framesIn(framed(written), VNET_HEADER) : written;
}

/** The header of a plain packet as it leaves the check: with the length of its packet's headers. */
function withHeaderLength(frame: Uint8Array): Uint8Array {
  return behind(Object.assign(new VnetHeader(), { hdrLen: 28 }), frame.subarray(VNET_HEADER));
}
