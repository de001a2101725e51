import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeTun } from "../shared/native/fake-tun.ts";
import { WRITE_CLOSED } from "../shared/native/quic.ts";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { bytesOf, flows, framesIn, gsoHeader, opened, packetOf } from "../shared/packet/offload-fixture.ts";
import { VNET_HEADER, VnetHeader } from "../shared/packet/vnet-header.ts";
import { LANE_BACKLOG_BYTES, MAX_LANES, ZGATE_VERSION } from "../shared/tunnel/constants.ts";
import { LaneSender } from "../shared/tunnel/lane-sender.ts";
import type { LaneSink } from "../shared/tunnel/lane-sender.ts";
import type { Offload, SessionAgreement } from "../shared/tunnel/negotiation.ts";
import { tunMtu } from "../shared/units.ts";
import { Uplink } from "./uplink.ts";

/** A lane's stream that takes writes while it is `open`, as QUIC does between its water marks. */
class Sink implements LaneSink {
  onWritable: (() => void) | undefined;
  open = true;
  closed = false;
  readonly sent: Uint8Array[] = [];

  writeBody(slab: Uint8Array, from: number, to: number): number {
    if (this.closed) return WRITE_CLOSED;
    if (!this.open) return 0;
    this.sent.push(...framesIn(slab.slice(from, to)));
    return to - from;
  }

  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    let taken = 0;
    for (let pair = 1; pair < count; pair++) {
      const written = this.writeBody(slab, ranges[2 * pair]!, ranges[2 * pair + 1]!);
      if (written <= 0) return written;
      taken += written;
    }
    return taken;
  }

  /** QUIC takes bytes again. */
  reopen(): void {
    this.open = true;
    this.onWritable?.();
  }
}

class World {
  readonly tun: FakeTun;
  readonly uplink: Uplink;
  sinks: Sink[] = [];
  readonly #agreement: Omit<SessionAgreement, "lanes">;

  constructor(device: "plain" | "offload" = "plain", offload: Offload = "none") {
    this.tun = new FakeTun(device);
    this.uplink = new Uplink(this.tun);
    this.#agreement = { version: ZGATE_VERSION, offload, mtu: tunMtu(1400) };
  }

  start(lanes: number): this {
    this.sinks = Array.from({ length: lanes }, () => new Sink());
    const senders = this.sinks.map((sink) => new LaneSender(sink));
    this.uplink.start(senders, { ...this.#agreement, lanes });
    return this;
  }

  /** Hands the device packets and waits until it was read, or is not going to be. */
  async deliver(...packets: readonly Uint8Array[]): Promise<void> {
    this.tun.deliver(...packets);
    await this.read();
  }

  async read(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve));
    while (this.tun.queued > 0 && !this.tun.paused);
  }

  get sent(): Uint8Array[] {
    return this.sinks.flatMap(({ sent }) => sent);
  }
}

const packet = (port: number, data: ArrayLike<number> = []): Uint8Array => ipv4({ payload: udp(port, 53, data) });
const portOf = (bytes: Uint8Array): number => Buffer.from(bytes).readUInt16BE(20);
const hexes = (packets: readonly Uint8Array[]): string[] =>
  packets.map((bytes) => Buffer.from(bytes).toString("hex")).toSorted();

describe("packets of the device", () => {
  test("wait until there is a session", async () => {
    const world = new World();
    await world.deliver(packet(1));
    assert.equal(world.tun.queued, 1);
    world.start(1);
    await world.read();
    assert.deepEqual(world.sent, [packet(1)]);
    assert.deepEqual(world.uplink.stats(), { frames: 1, bytes: 30, dropped: 0, malformed: 0 });
  });

  test("all reach a lane, those of a flow the same one, in their order", async () => {
    const bursts = fc.array(fc.array(fc.nat(20), { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 4 });
    const property = fc.asyncProperty(fc.integer({ min: 1, max: MAX_LANES }), bursts, async (lanes, ports) => {
      const world = new World().start(lanes);
      const all = ports.flatMap((burst, round) => burst.map((port, index) => packet(port, [round, index])));
      for (const [round, burst] of ports.entries()) {
        await world.deliver(...burst.map((port, index) => packet(port, [round, index])));
      }
      assert.deepEqual(hexes(world.sent), hexes(all));
      for (const port of new Set(ports.flat())) {
        const carrying = world.sinks.filter(({ sent }) => sent.some((bytes) => portOf(bytes) === port));
        assert.equal(carrying.length, 1, `flow ${port} is on one lane`);
        const own = carrying[0]?.sent.filter((bytes) => portOf(bytes) === port);
        assert.deepEqual(
          own,
          all.filter((bytes) => portOf(bytes) === port),
        );
      }
    });
    await fc.assert(property, { numRuns: 50 });
  });

  test("that no IP stack would make are counted, and those beside them sent", async () => {
    const world = new World().start(2);
    await world.deliver(packet(1), Uint8Array.of(0x50, 0), Uint8Array.from([...packet(2), 0]), packet(3));
    assert.deepEqual(hexes(world.sent), hexes([packet(1), packet(3)]));
    const { frames, malformed } = world.uplink.stats();
    assert.deepEqual([frames, malformed], [2, 2]);
  });

  test("are thrown away when they are too old", async () => {
    const world = new World();
    world.tun.deliver(...Array.from({ length: 500 }, (_, port) => packet(port, bytesOf(1000))));
    world.uplink.discardQueued();
    assert.equal(world.tun.queued, 0);
    world.start(1);
    await world.deliver(packet(9));
    assert.deepEqual(world.sent, [packet(9)]);
  });
});

describe("a congested lane", () => {
  const large = (index: number): Uint8Array => packet(1, [...bytesOf(1300), index]);

  test("stops the device, loses nothing, and goes on when it was sent", async () => {
    const world = new World().start(1);
    const [sink] = world.sinks;
    assert.ok(sink);
    sink.open = false;
    const packets = Array.from({ length: 600 }, (_, index) => large(index & 0xff));
    await world.deliver(...packets);
    assert.ok(world.tun.paused);
    assert.ok(world.tun.queued > 0, "the rest waits in the kernel");
    assert.deepEqual(world.sent, []);
    while (world.tun.queued > 0) {
      sink.reopen();
      sink.open = false;
      await world.read();
    }
    sink.reopen();
    assert.deepEqual(world.sent, packets);
    assert.equal(world.uplink.stats().dropped, 0);
    assert.ok(!world.tun.paused);
  });

  test("stops the device until the last of them was sent", async () => {
    const world = new World().start(8);
    for (const sink of world.sinks) sink.open = false;
    await world.deliver(...Array.from({ length: 100 }, (_, port) => packet(port)));
    for (const [index, sink] of world.sinks.entries()) {
      assert.ok(world.tun.paused, `before lane ${index} was sent`);
      sink.reopen();
    }
    assert.ok(!world.tun.paused);
    assert.equal(world.sent.length, 100);
  });

  test("of a session that is over does not start the device of the next one", async () => {
    const world = new World().start(1);
    const [old] = world.sinks;
    assert.ok(old);
    old.open = false;
    await world.deliver(packet(1));
    world.uplink.stop();
    world.start(1);
    const [young] = world.sinks;
    assert.ok(young);
    young.open = false;
    await world.deliver(packet(2));
    assert.ok(world.tun.paused);
    old.reopen();
    assert.ok(world.tun.paused);
    young.reopen();
    assert.ok(!world.tun.paused);
    assert.deepEqual(young.sent, [packet(2)]);
  });

  test("whose stream is closed drops what it is given, and the device goes on", async () => {
    const world = new World().start(1);
    const [sink] = world.sinks;
    assert.ok(sink);
    sink.closed = true;
    await world.deliver(packet(1), packet(2));
    assert.equal(world.uplink.stats().dropped, 2);
    assert.ok(!world.tun.paused);
  });
});

test("a session that is over leaves the device alone", async () => {
  const world = new World().start(1);
  world.uplink.stop();
  await world.deliver(packet(1));
  assert.equal(world.tun.queued, 1);
  assert.deepEqual(world.sent, []);
});

describe("a device with offload", () => {
  const flow = flows[0]!;
  const data = bytesOf(3000);
  const superPacket = behind(gsoHeader(flow, 1000), opened(packetOf(flow, { id: 1, seq: 1, flags: 0x10, data }), flow));
  const plain = behind(new VnetHeader(), packet(1));

  test("gives its frames whole to a relay that takes them", async () => {
    const world = new World("offload", "gso").start(2);
    await world.deliver(superPacket, plain);
    assert.deepEqual(hexes(world.sent), hexes([superPacket, plain]));
  });

  test("has them cut for one that does not, checksums complete", async () => {
    const world = new World("offload").start(1);
    await world.deliver(superPacket, plain, Uint8Array.of(...plain, 0), plain);
    const segments = [0, 1000, 2000].map((from, index) =>
      packetOf(flow, { id: 1 + index, seq: 1 + from, flags: 0x10, data: data.slice(from, from + 1000) }),
    );
    assert.deepEqual(world.sent, [...segments, packet(1), packet(1)]);
    assert.deepEqual({ ...world.uplink.stats(), bytes: 0 }, { frames: 5, bytes: 0, dropped: 0, malformed: 1 });
  });

  describe("that has more to be cut in one read than a slab holds", () => {
    const small = opened(packetOf(flow, { id: 1, seq: 1, flags: 0x10, data }), flow);
    const [count, size] = [64, 100];
    const frames = Array.from({ length: count }, () => behind(gsoHeader(flow, size), small));
    const segments = frames.flatMap(() =>
      Array.from({ length: data.length / size }, (_, index) =>
        packetOf(flow, {
          id: 1 + index,
          seq: 1 + index * size,
          flags: 0x10,
          data: data.slice(index * size).slice(0, size),
        }),
      ),
    );

    test("sends all of it", async () => {
      const world = new World("offload").start(1);
      await world.deliver(...frames);
      assert.deepEqual(hexes(world.sent), hexes(segments));
    });

    test("loses what a congested lane cannot keep, and counts it", async () => {
      const world = new World("offload").start(1);
      const [sink] = world.sinks;
      assert.ok(sink);
      sink.open = false;
      await world.deliver(...frames);
      sink.reopen();
      const { frames: given, dropped } = world.uplink.stats();
      assert.equal(given, segments.length);
      assert.ok(dropped > 0);
      assert.deepEqual(sink.sent, segments.slice(0, given - dropped));
      assert.ok(sink.sent.reduce((sum, { length }) => sum + 2 + length, 0) <= LANE_BACKLOG_BYTES);
    });
  });
});

function behind(header: VnetHeader, bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(VNET_HEADER + bytes.length);
  header.write(frame, 0);
  frame.set(bytes, VNET_HEADER);
  return frame;
}
