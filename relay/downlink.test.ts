import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { formatAddress } from "../shared/packet/address.ts";
import { fragmentHeader, icmp, ipv4, ipv6, tcp, udp, withChecksum } from "../shared/packet/fixture.ts";
import { bytesOf, flows, gsoHeader, opened, packetOf } from "../shared/packet/offload-fixture.ts";
import { PacketView } from "../shared/packet/view.ts";
import { VNET_HEADER, VnetHeader } from "../shared/packet/vnet-header.ts";
import { encodeCapsule } from "../shared/tunnel/capsule.ts";
import { CAPSULE_DATAGRAM, LANE_BACKLOG_BYTES, SLAB_BYTES } from "../shared/tunnel/constants.ts";
import type { Client } from "./client-fixture.ts";
import { RATE_BURST_BYTES } from "./constants.ts";
import { FIRST, MTU, RELAY, RelayCore, SECOND, until } from "./core-fixture.ts";
import type { CoreOptions } from "./core-fixture.ts";

const HOST = "192.0.2.10";
const HOST6 = "2001:db8::10";
const rulesFor = (...destinations: readonly string[]): string =>
  `rules: [{ id: r, type: ip_cidr, action: allow, destinations: [${destinations.map((d) => `'${d}'`).join(", ")}] }]`;
const policyOf = (limits = "", destinations = ["192.0.2.0/24", "2001:db8::/32"]): string =>
  `clients: { a: { ${limits} ${rulesFor(...destinations)} }, b: { ${rulesFor("192.0.2.0/24")} } }`;

const up = (port: number, src = FIRST.ipv4): Uint8Array => ipv4({ src, dst: HOST, payload: udp(port, 53) });
const up6 = (port: number): Uint8Array => ipv6({ src: FIRST.ipv6, dst: HOST6, payload: udp(port, 53) });
const down = (port: number, data: ArrayLike<number> = [], dst = FIRST.ipv4): Uint8Array =>
  ipv4({ src: HOST, dst, payload: udp(53, port, data) });
const down6 = (port: number, data: ArrayLike<number> = []): Uint8Array =>
  ipv6({ src: HOST6, dst: FIRST.ipv6, payload: udp(53, port, data) });
/** The answer that is sent last, in flow 60000 of each family's client. */
const MARK_PORT = 60_000;
const MARK = down(MARK_PORT);

let core: RelayCore;
afterEach(() => core.close());

/** Client `a` with flows from these ports. */
async function joined(ports: readonly number[], options: Partial<CoreOptions> = {}, lanes = 1): Promise<Client> {
  core = await RelayCore.open({ policy: policyOf(), ...options });
  const client = await core.join("a", { lanes });
  await openFlows(client, ports);
  return client;
}

async function openFlows(client: Client, ports: readonly number[], src?: string): Promise<void> {
  const before = core.tun.written.length;
  client.send(...[...ports, MARK_PORT].map((port) => up(port, src)));
  await until("the flows", () => core.tun.written.length === before + ports.length + 1);
}

const isMark = (packet: Uint8Array): boolean => Buffer.compare(packet, MARK) === 0;
const marked = (client: Client): Promise<true> => until("the mark", () => client.received.some(isMark));
const session = () => [...core.sessions].find(({ client }) => client === "a");

describe("answers in a client's flows", () => {
  test("reach it as they came, in their order, and are counted", async () => {
    const client = await joined([1, 2]);
    client.send(up6(3));
    await until("the IPv6 flow", () => core.tun.written.length === 4);
    const packets = [down(1, [1]), down(2, [2]), down6(3, [3]), down(1, [4]), MARK];
    core.tun.deliver(...packets);
    await until("all", () => client.received.length === packets.length);
    assert.deepEqual(client.received, packets);
    assert.equal(core.count("packets", "to-client"), packets.length);
    assert.equal(
      core.count("bytes", "to-client"),
      packets.reduce((sum, { length }) => sum + length, 0),
    );
    assert.deepEqual({ ...session()?.down }, { packets: 5, bytes: core.count("bytes", "to-client") });
    assert.equal(session()?.dropped, 0);
  });

  test("keep their order within a flow over several lanes, bursts and pieces", async () => {
    core = await RelayCore.open({ policy: policyOf() });
    const client = await core.join("a", { lanes: 4 }, { pieces: [1, 2, 700, 31] });
    const ports = Array.from({ length: 8 }, (_, index) => index + 1);
    await openFlows(client, ports);
    const rounds = 40;
    for (let round = 0; round < rounds; round++) core.tun.deliver(...ports.map((port) => down(port, [round])));
    await until("all", () => client.received.length === rounds * ports.length);
    for (const port of ports) {
      const own = client.received.filter((packet) => Buffer.from(packet).readUInt16BE(22) === port);
      assert.deepEqual(
        own.map((packet) => packet.at(-1)),
        Array.from({ length: rounds }, (_, round) => round),
      );
    }
  });

  test("go to the session that has the address, and to no other", async () => {
    const a = await joined([1]);
    const b = await core.join("b");
    await openFlows(b, [1], SECOND.ipv4);
    core.tun.deliver(down(1, [7], SECOND.ipv4), down(1, [8]), MARK);
    await marked(a);
    await until("the neighbour's", () => b.received.length === 1);
    assert.deepEqual(a.received, [down(1, [8]), MARK]);
    assert.deepEqual(b.received, [down(1, [7], SECOND.ipv4)]);
  });
});

describe("what a client does not get", () => {
  for (const { name, packet, counter, inSession } of [
    {
      name: "a packet to an address that nobody has",
      packet: down(1, [], SECOND.ipv4),
      counter: "no-route",
      inSession: 0,
    },
    { name: "one to the relay's own address", packet: down(1, [], RELAY.ipv4), counter: "no-route", inSession: 0 },
    { name: "one of no flow", packet: down(2), counter: "no-flow", inSession: 1 },
    {
      name: "one from another port",
      packet: ipv4({ src: HOST, dst: FIRST.ipv4, payload: udp(54, 1) }),
      counter: "no-flow",
      inSession: 1,
    },
    {
      name: "one from another host",
      packet: ipv4({ src: "192.0.2.11", dst: FIRST.ipv4, payload: udp(53, 1) }),
      counter: "no-flow",
      inSession: 1,
    },
    {
      name: "one of another protocol",
      packet: ipv4({ src: HOST, dst: FIRST.ipv4, protocol: 6, payload: tcp({ srcPort: 53, dstPort: 1 }) }),
      counter: "no-flow",
      inSession: 1,
    },
    {
      name: "a later fragment without its first",
      packet: ipv4({ src: HOST, dst: FIRST.ipv4, id: 5, flagsAndOffset: 64, payload: bytesOf(64) }),
      counter: "fragment-orphan",
      inSession: 1,
    },
    {
      name: "an ICMP error about a packet of no flow",
      packet: ipv4({ src: "192.0.2.1", dst: FIRST.ipv4, protocol: 1, payload: icmp(3, 3, 0, up(2)) }),
      counter: "no-flow",
      inSession: 1,
    },
    {
      name: "an echo request, although a flow to that host is open",
      packet: ipv4({ src: HOST, dst: FIRST.ipv4, protocol: 1, payload: icmp(8, 0, 0x0001_0001) }),
      counter: "no-flow",
      inSession: 1,
    },
  ] as const) {
    test(name, async () => {
      const client = await joined([1]);
      core.tun.deliver(packet, MARK);
      await marked(client);
      assert.deepEqual(client.received, [MARK]);
      assert.equal(core.count("dropped", counter), 1);
      assert.equal(core.counters.total("dropped"), 1);
      assert.equal(session()?.dropped, inSession);
    });
  }

  test("a packet that no IP stack would make", async () => {
    const client = await joined([1]);
    core.tun.deliver(Uint8Array.from([...down(1), 0]), Uint8Array.of(0x50), MARK);
    await marked(client);
    assert.deepEqual(client.received, [MARK]);
    assert.deepEqual([core.count("malformed", "length-mismatch"), core.count("malformed", "bad-version")], [1, 1]);
  });

  test("packets over its rate; its neighbour's pass", async () => {
    const client = await joined([1], { policy: policyOf("rate_limit: { down: 1k },") });
    const neighbour = await core.join("b");
    await openFlows(neighbour, [1], SECOND.ipv4);
    const large = down(1, bytesOf(MTU - 28));
    const fits = Math.floor(RATE_BURST_BYTES / MTU);
    for (let sent = 0; sent < fits + 50; sent += 50) {
      core.tun.deliver(...Array.from({ length: 50 }, () => large));
      await until("the burst", () => core.tun.queued === 0);
    }
    core.tun.deliver(down(1, [], SECOND.ipv4));
    await until("the neighbour's", () => neighbour.received.length === 1);
    await until("what passed", () => client.received.length === fits);
    assert.equal(core.count("dropped", "rate-limit"), Math.ceil((fits + 50) / 50) * 50 - fits);
  });
});

describe("what belongs to a flow without its ports", () => {
  test("an ICMP error about a packet of the client passes, from whoever sends it", async () => {
    const client = await joined([1]);
    const error = ipv4({ src: "198.51.100.1", dst: FIRST.ipv4, protocol: 1, payload: icmp(11, 0, 0, up(1)) });
    core.tun.deliver(error, MARK);
    await marked(client);
    assert.deepEqual(client.received, [error, MARK]);
  });

  for (const { name, fragments } of [
    {
      name: "IPv4",
      fragments: [0x2000, 0x2000 | 8, 16].map((flagsAndOffset, index) =>
        ipv4({
          ...{ src: HOST, dst: FIRST.ipv4, id: 77, flagsAndOffset },
          payload: index === 0 ? udp(53, 1, bytesOf(56)) : bytesOf(64),
        }),
      ),
    },
    {
      name: "IPv6",
      fragments: [0, 64, 128].map((offset) =>
        ipv6({
          ...{ src: HOST6, dst: FIRST.ipv6, protocol: 44 },
          payload: [
            ...fragmentHeader(17, offset, offset < 128, 77),
            ...(offset === 0 ? udp(53, 3, bytesOf(56)) : bytesOf(64)),
          ],
        }),
      ),
    },
  ]) {
    test(`later fragments follow their first one: ${name}`, async () => {
      const client = await joined([1]);
      client.send(up6(3));
      await until("the IPv6 flow", () => core.tun.written.length === 3);
      core.tun.deliver(...fragments, MARK);
      await marked(client);
      assert.deepEqual(client.received, [...fragments, MARK]);
    });
  }
});

describe("a flow that the policy denies from now on", () => {
  const connection = { srcPort: 40_000, dstPort: 443, seq: 1000, ack: 77_000 };
  const tcpUp = ipv4({ src: FIRST.ipv4, dst: "192.0.2.99", protocol: 6, payload: tcp(connection) });
  const tcpDown = ipv4({
    ...{ src: "192.0.2.99", dst: FIRST.ipv4, protocol: 6 },
    payload: tcp({ srcPort: 443, dstPort: 40_000, seq: 77_000, ack: 1000, data: [1, 2, 3] }),
  });

  test("is cut at the client's end too, and what came beside it in one read arrives unharmed", async () => {
    const client = await joined([1]);
    client.send(tcpUp);
    await until("the connection", () => core.tun.written.length === 3);
    await core.enforce(policyOf("", ["192.0.2.0/26"]));
    core.tun.deliver(down(1, bytesOf(900)), tcpDown, down(1, [9]), MARK);
    await marked(client);
    const resets = client.received.filter((packet) => packet[9] === 6);
    assert.equal(resets.length, 1);
    const view = new PacketView();
    const [reset = new Uint8Array()] = resets;
    assert.ok(view.parse(reset, 0, reset.length));
    assert.deepEqual([view.srcPort, view.dstPort, view.tcpFlags & 4], [443, 40_000, 4]);
    assert.equal(Buffer.from(reset).readUInt32BE(24), 77_000, "the number that the client waits for");
    assert.deepEqual(
      client.received.filter((packet) => packet[9] !== 6),
      [down(1, bytesOf(900)), down(1, [9]), MARK],
    );
    assert.equal(core.count("dropped", "policy-deny"), 1);
    assert.equal(core.count("answers", "tcp-reset"), 1);
  });
});

describe("a client that does not read", () => {
  test("loses its own packets beyond what waits for it, and its neighbour's all arrive", async () => {
    core = await RelayCore.open({ policy: policyOf() });
    const client = await core.connect("a", { receiveWindow: 4096, highWater: 4096 });
    await client.openSession({ lanes: 1, offload: "none" });
    const lane = await client.openUnreadLane(0);
    const neighbour = await core.join("b");
    await openFlows(client, [1]);
    await openFlows(neighbour, [1], SECOND.ipv4);
    const large = down(1, bytesOf(MTU - 28));
    const [own, rounds] = [100, 8];
    for (let round = 0; round < rounds; round++) {
      core.tun.deliver(...Array.from({ length: own }, () => large), down(1, [round], SECOND.ipv4));
      await until("the neighbour's", () => neighbour.received.length === round + 1);
    }
    const dropped = core.count("dropped", "queue-full");
    const kept = own * rounds - dropped;
    assert.equal(session()?.dropped, dropped);
    assert.ok(kept * large.length <= LANE_BACKLOG_BYTES + 2 * SLAB_BYTES, `${kept} packets wait`);
    assert.ok(dropped > 0 && kept > 0);
    assert.equal(client.closed, undefined);
    // What was kept comes whole as soon as it reads.
    client.readLane(lane);
    await until("what was kept", () => client.received.length === kept);
    assert.ok(client.received.every((packet) => Buffer.compare(packet, large) === 0));
  });

  test("sends what is for a lane that is not open on the one that is", async () => {
    core = await RelayCore.open({ policy: policyOf() });
    const client = await core.connect("a");
    await client.openSession({ lanes: 4, offload: "none" });
    await client.openLane(0);
    const ports = Array.from({ length: 16 }, (_, index) => index + 1);
    await openFlows(client, ports);
    const packets = ports.map((port) => down(port));
    core.tun.deliver(...packets);
    await until("each packet", () => client.received.length === packets.length);
    assert.deepEqual(client.received, packets);
  });
});

describe("a device with offload", () => {
  const flow = { ...flows[0]!, src: HOST, dst: FIRST.ipv4 };
  const data = bytesOf(3000);
  const whole = packetOf(flow, { id: 1, seq: 1, flags: 0x18, data });
  const superPacket = behind(gsoHeader(flow, 1000), opened(whole, flow));
  const request = ipv4({
    ...{ src: FIRST.ipv4, dst: HOST, protocol: 6 },
    payload: tcp({ srcPort: u16(whole, 22), dstPort: u16(whole, 20) }),
  });

  /** Client `a` that has sent `request`, over offload or not. */
  async function connected(offload: "none" | "gso"): Promise<Client> {
    core = await RelayCore.open({ policy: policyOf(), device: "offload" });
    const client = await core.join("a", { offload });
    const sent = [request, up(MARK_PORT)];
    client.send(...(offload === "gso" ? sent.map((packet) => behind(new VnetHeader(), packet)) : sent));
    await until("the flows", () => core.tun.written.length === 2);
    return client;
  }

  test("gives super-packets whole to a client that takes them", async () => {
    const client = await connected("gso");
    core.tun.deliver(superPacket, behind(new VnetHeader(), MARK));
    await until("both", () => client.received.length === 2);
    assert.deepEqual(client.received, [superPacket, behind(new VnetHeader(), MARK)]);
    assert.equal(core.count("packets", "to-client"), 2);
  });

  test("cuts them for one that does not, in their order, and more in one read than a slab holds", async () => {
    const client = await connected("none");
    const [count, size] = [64, 100];
    const small = behind(gsoHeader(flow, size), opened(whole, flow));
    const each = data.length / size;
    assert.ok(count * (data.length + each * 42) > SLAB_BYTES, "the slab runs over");
    core.tun.deliver(...Array.from({ length: count }, () => small), behind(new VnetHeader(), MARK));
    await until("all", () => client.received.length === count * each + 1);
    assert.deepEqual(client.received.at(-1), MARK);
    for (const [index, packet] of client.received.slice(0, -1).entries()) {
      const from = (index % each) * size;
      assert.equal(Buffer.from(packet).readUInt32BE(24), 1 + from);
      assert.deepEqual(packet.subarray(40), data.subarray(from, from + size));
      assert.deepEqual(packet, withChecksum(packet, 20, 6, 16));
    }
    assert.equal(core.count("dropped", "queue-full"), 0);
  });
});

describe("a plain RFC 9484 client", () => {
  /** With a flow of each family. */
  async function plain(maxDatagramSize: number): Promise<Client> {
    core = await RelayCore.open({ policy: policyOf() });
    const client = await core.connect("a", { maxDatagramSize });
    await client.openSession();
    for (const packet of [up(1), up(MARK_PORT), up6(3)]) {
      const payload = Uint8Array.of(0, ...packet);
      if (maxDatagramSize > 0) client.sendDatagram(payload);
      else client.sendCapsule(encodeCapsule(CAPSULE_DATAGRAM, payload));
    }
    await until("the flows", () => core.tun.written.length === 3);
    return client;
  }

  test("gets its packets in datagrams; who sends a larger one is told by how much", async () => {
    const client = await plain(1300);
    const [fits, large, large6] = [down(1, bytesOf(1200)), down(1, bytesOf(1300)), down6(3, bytesOf(1300))];
    core.tun.deliver(fits, large, large6, MARK);
    await until("the datagrams", () => client.received.length === 2);
    assert.deepEqual(client.received, [Uint8Array.of(0, ...fits), Uint8Array.of(0, ...MARK)]);
    assert.equal(core.count("dropped", "oversize"), 2);
    const told = core.tun.written.slice(3).map((packet) => {
      const view = new PacketView();
      assert.ok(view.parse(packet, 0, packet.length));
      const mtu = Buffer.from(packet).readUInt32BE(view.transportOffset + 4);
      return {
        source: formatAddress(view.version, view.src0, view.src1, view.src2, view.src3),
        type: view.icmpType,
        mtu,
      };
    });
    // Context id 0 is one byte of the payload.
    const mtu = client.control!.maxDatagramSize - 1;
    assert.deepEqual(told, [
      { source: RELAY.ipv4, type: 3, mtu },
      { source: RELAY.ipv6, type: 2, mtu },
    ]);
    assert.ok(mtu > fits.length && mtu < large.length, String(mtu));
  });

  test("gets them in capsules when it takes no datagrams, large ones too", async () => {
    const client = await plain(0);
    const packets = [down(1, bytesOf(5000)), down6(3), MARK];
    core.tun.deliver(...packets);
    const found = await until("the capsules", () => {
      const capsules = client.capsules.filter(({ type }) => type === CAPSULE_DATAGRAM);
      return capsules.length === packets.length && capsules;
    });
    assert.deepEqual(
      found.map(({ value }) => value),
      packets.map((packet) => Uint8Array.of(0, ...packet)),
    );
  });
});

function behind(header: VnetHeader, packet: Uint8Array): Uint8Array {
  const frame = new Uint8Array(VNET_HEADER + packet.length);
  header.write(frame, 0);
  frame.set(packet, VNET_HEADER);
  return frame;
}

function u16(bytes: Uint8Array, at: number): number {
  return Buffer.from(bytes).readUInt16BE(at);
}
