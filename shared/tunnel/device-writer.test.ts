import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { FakeTun } from "../native/fake-tun.ts";
import type { TunFeatures } from "../native/tun.ts";
import { bytesOf, flows, framed, framesIn, gsoHeader, opened, packetOf } from "../packet/offload-fixture.ts";
import type { Flow } from "../packet/offload-fixture.ts";
import { GSO_ECN, VNET_HEADER, VnetHeader } from "../packet/vnet-header.ts";
import { DeviceWriter } from "./device-writer.ts";

const SIZE = 100;
const PIECES = 5;
const [tcp4, , tcp6, udp4, udp6] = flows as [Flow, Flow, Flow, Flow, Flow];

/** The packets of a run of the flow. */
function packetsOf(flow: Flow, size = SIZE, pieces = PIECES): Uint8Array[] {
  const data = bytesOf(size * pieces);
  return Array.from({ length: pieces }, (_, i) =>
    packetOf(flow, { id: i, seq: i * size, flags: 0x10, data: data.slice(i * size, (i + 1) * size) }),
  );
}

/** The same as one frame of a device with offload, without its length. */
function superFrame(flow: Flow, size = SIZE, pieces = PIECES, header: Partial<VnetHeader> = {}): Uint8Array {
  const frame = opened(packetOf(flow, { id: 0, seq: 0, flags: 0x10, data: bytesOf(size * pieces) }), flow);
  return withHeader(Object.assign(gsoHeader(flow, size), header), frame);
}

function withHeader(header: VnetHeader, packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(VNET_HEADER + packet.length);
  header.write(frame, 0);
  frame.set(packet, VNET_HEADER);
  return frame;
}

const plain = (packet: Uint8Array): Uint8Array => withHeader(new VnetHeader(), packet);
const cutFrames = (flow: Flow): Uint8Array[] => packetsOf(flow).map(plain);
const never = (): void => assert.fail("nothing was to be refused");
const isSuperPacket = (frame: Uint8Array): boolean => frame[1] !== 0;
const single = plain(packetsOf(udp4)[3]!);

/** Returns the packets that super-packets were cut into. */
function write(writer: DeviceWriter, frames: readonly Uint8Array[], vnet = true): number {
  const slab = framed(frames);
  return writer.write(slab, 0, slab.length, vnet);
}

test("frames of kinds that the device has are written as they are, in one call", () => {
  const tun = new FakeTun("offload");
  const writer = new DeviceWriter(tun, never);
  const frames = [single, superFrame(tcp4), superFrame(tcp6), superFrame(udp4), superFrame(udp6), single];
  assert.equal(write(writer, frames), 0);
  assert.deepEqual(tun.written, frames);
  assert.deepEqual(tun.writes, [6]);
  assert.deepEqual(writer.cut, { lacking: 0, refused: 0 });
});

describe("a kind that the device lacks is cut, in its place", () => {
  const tables: { name: string; lacking: Partial<TunFeatures>; cut: Flow[]; whole: Flow[] }[] = [
    { name: "no UDP", lacking: { uso4: false, uso6: false }, cut: [udp4, udp6], whole: [tcp4, tcp6] },
    { name: "no TCP over IPv4", lacking: { tso4: false }, cut: [tcp4], whole: [tcp6, udp4, udp6] },
    { name: "no TCP over IPv6", lacking: { tso6: false }, cut: [tcp6], whole: [tcp4, udp4, udp6] },
    { name: "no TCP", lacking: { tso4: false, tso6: false }, cut: [tcp4, tcp6], whole: [udp4, udp6] },
  ];
  for (const { name, lacking, cut, whole } of tables) {
    test(name, () => {
      const tun = new FakeTun("offload", lacking);
      const writer = new DeviceWriter(tun, never);
      const all = [...cut, ...whole, ...cut];
      const cutInto = write(writer, [single, ...all.map((flow) => superFrame(flow)), single]);
      assert.equal(cutInto, 2 * cut.length * PIECES);
      const expected = all.flatMap((flow) => (cut.includes(flow) ? cutFrames(flow) : [superFrame(flow)]));
      assert.deepEqual(tun.written, [single, ...expected, single]);
      assert.deepEqual(writer.cut, { lacking: 2 * cut.length, refused: 0 });
    });
  }

  test("with ECN", () => {
    const tun = new FakeTun("offload", { tso4: false });
    write(new DeviceWriter(tun, never), [superFrame(tcp4, SIZE, PIECES, { gsoType: 1 | GSO_ECN })]);
    assert.deepEqual(tun.written, cutFrames(tcp4));
  });

  test("into as many packets as may be, 1,300 of the smallest", () => {
    const tun = new FakeTun("offload", { tso6: false });
    write(new DeviceWriter(tun, never), [superFrame(tcp6, 48, 1300)]);
    assert.deepEqual(tun.written, packetsOf(tcp6, 48, 1300).map(plain));
  });
});

describe("what the kernel refuses", () => {
  let refusals = 0;
  beforeEach(() => (refusals = 0));

  for (const flow of [tcp4, tcp6, udp4, udp6]) {
    test(`${flow.name}: is cut, and nothing else`, () => {
      const tun = new FakeTun("offload");
      const refused = superFrame(flow, SIZE, 3);
      tun.refuses = (frame) => frame.length === refused.length;
      const writer = new DeviceWriter(tun, () => refusals++);
      const good = superFrame(flow);
      write(writer, [refused, good, refused, refused, single, good, refused]);
      const cut = packetsOf(flow, SIZE, 3).map(plain);
      assert.deepEqual(tun.written, [...cut, good, ...cut, ...cut, single, good, ...cut]);
      assert.deepEqual(writer.cut, { lacking: 0, refused: 4 });
      assert.equal(refusals, 1, "it is said once");
    });
  }

  test("is offered to it again the next time", () => {
    const tun = new FakeTun("offload");
    tun.refuses = isSuperPacket;
    const writer = new DeviceWriter(tun, () => refusals++);
    write(writer, [superFrame(tcp4)]);
    tun.refuses = () => false;
    write(writer, [superFrame(tcp4)]);
    assert.deepEqual(tun.written, [...cutFrames(tcp4), superFrame(tcp4)]);
  });

  test("of what was put together here comes apart again", () => {
    const tun = new FakeTun("offload");
    tun.refuses = isSuperPacket;
    const writer = new DeviceWriter(tun, () => refusals++);
    write(writer, [...packetsOf(tcp4), ...packetsOf(udp6)], false);
    assert.deepEqual(tun.written, [...cutFrames(tcp4), ...cutFrames(udp6)]);
    assert.deepEqual(writer.cut, { lacking: 0, refused: 2 });
  });

  test("with a checksum left to it gets the checksum here", () => {
    const tun = new FakeTun("offload");
    tun.refuses = (frame) => frame[0] !== 0;
    const packet = packetsOf(tcp4)[0]!;
    const header = Object.assign(gsoHeader(tcp4, 0), { gsoType: 0 });
    write(new DeviceWriter(tun, () => refusals++), [withHeader(header, opened(packet, tcp4))]);
    assert.deepEqual(tun.written, [plain(packet)]);
  });
});

test("a device without offload gets plain frames as they are", () => {
  const tun = new FakeTun("plain");
  write(new DeviceWriter(tun, never), packetsOf(tcp4), false);
  assert.deepEqual(tun.written, framesIn(framed(packetsOf(tcp4))));
});
