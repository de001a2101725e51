import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import {
  extension,
  fragmentHeader,
  icmp,
  ipv4,
  ipv6,
  tcp,
  udp,
  withChecksum,
  words,
} from "../shared/packet/fixture.ts";
import { bytesOf, flows, gsoHeader, opened, packetOf } from "../shared/packet/offload-fixture.ts";
import { PacketView } from "../shared/packet/view.ts";
import { VNET_HEADER } from "../shared/packet/vnet-header.ts";
import type { VnetHeader } from "../shared/packet/vnet-header.ts";
import { encodeCapsule } from "../shared/tunnel/capsule.ts";
import { CAPSULE_DATAGRAM } from "../shared/tunnel/constants.ts";
import type { Client } from "./client-fixture.ts";
import { ANSWERS_BURST, FLOWS_BURST, FLOWS_PER_SECOND, RATE_BURST_BYTES } from "./constants.ts";
import { FIRST, MTU, RELAY, RelayCore, SECOND, until } from "./core-fixture.ts";
import type { CoreOptions } from "./core-fixture.ts";

const HOST = "192.0.2.10";
const HOST6 = "2001:db8::10";
const ALLOW = "{ id: web, type: ip_cidr, action: allow, destinations: [192.0.2.0/24, '2001:db8::/32'] }";
const ALLOW_DNS = `{ id: dns, type: ip_cidr, action: allow, destinations: [${HOST}], ports: [udp/53] }`;
const policyOf = (rule: string, limits = ""): string =>
  `clients: { a: { ${limits} rules: [${rule}] }, b: { rules: [${rule}] } }`;

const upV4 = (port: number, dst = HOST, src = FIRST.ipv4): Uint8Array => ipv4({ src, dst, payload: udp(port, 53) });
const upV6 = (port: number, dst = HOST6, src = FIRST.ipv6): Uint8Array => ipv6({ src, dst, payload: udp(port, 53) });
/** What is sent last, to know that all before it was judged. */
const MARK = upV4(65_000);

let core: RelayCore;
afterEach(() => core.close());

async function joined(options: Partial<CoreOptions> = {}, offload: "none" | "gso" = "none"): Promise<Client> {
  core = await RelayCore.open({ policy: policyOf(ALLOW), ...options });
  return core.join("a", { offload });
}

const written = (count: number): Promise<true> => until(`${count} frames`, () => core.tun.written.length >= count);
const isMark = (frame: Uint8Array): boolean => Buffer.compare(frame, MARK) === 0;
const marked = (): Promise<true> => until("the last frame", () => core.tun.written.some(isMark));

describe("what is allowed", () => {
  test("goes to the device as it came, neighbours in one run", async () => {
    const client = await joined();
    const denied = upV4(4, "198.51.100.1");
    client.send(upV4(1), upV6(2), upV4(3), denied, upV4(5), upV6(6));
    await written(5);
    assert.deepEqual(core.tun.written, [upV4(1), upV6(2), upV4(3), upV4(5), upV6(6)]);
    assert.deepEqual(core.tun.writes, [3, 2]);
    assert.equal(core.count("packets", "from-client"), 5);
    assert.equal(core.count("bytes", "from-client"), 3 * 28 + 2 * 48);
    const [session] = core.sessions;
    assert.deepEqual([{ ...session?.up }, session?.dropped, session?.flows.size], [{ packets: 5, bytes: 180 }, 1, 6]);
  });

  test("is the same when the stream cuts the frames anywhere", async () => {
    core = await RelayCore.open({ policy: policyOf(ALLOW) });
    const client = await core.join("a", {}, { pieces: [1, 2, 31, 7] });
    const packets = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? upV4(index) : upV6(index)));
    client.send(...packets);
    await written(packets.length);
    assert.deepEqual(core.tun.written, packets);
  });

  test("reaches a device with offload behind an empty virtio_net_hdr", async () => {
    const client = await joined({ device: "offload" });
    client.send(MARK);
    await written(1);
    const [frame] = core.tun.written;
    assert.deepEqual(frame?.subarray(VNET_HEADER), MARK);
  });
});

describe("what never passes", () => {
  const martians4 = ["0.0.0.1", "127.0.0.1", "169.254.169.254", "224.0.0.1", "255.255.255.255"];
  const martians6 = ["::", "::1", "::ffff:192.0.2.10", "fe80::1", "ff02::1"];
  const cases = [
    ...[HOST, RELAY.ipv4, SECOND.ipv4, "127.0.0.1"].map((src) => ({
      name: `an IPv4 source of ${src}`,
      packet: upV4(1, HOST, src),
      counter: "source-address" as const,
    })),
    ...[HOST6, RELAY.ipv6, SECOND.ipv6, "fe80::2", "::"].map((src) => ({
      name: `an IPv6 source of ${src}`,
      packet: upV6(1, HOST6, src),
      counter: "source-address" as const,
    })),
    ...martians4.map((dst) => ({
      name: `the destination ${dst}`,
      packet: upV4(1, dst),
      counter: "destination-address" as const,
    })),
    ...martians6.map((dst) => ({
      name: `the destination ${dst}`,
      packet: upV6(1, dst),
      counter: "destination-address" as const,
    })),
    {
      name: "a later fragment without its first",
      packet: ipv4({ src: FIRST.ipv4, dst: HOST, id: 7, flagsAndOffset: 185, payload: bytesOf(100) }),
      counter: "fragment-orphan" as const,
    },
  ];
  for (const { name, packet, counter } of cases) {
    test(name, async () => {
      const client = await joined({ policy: "default_action: allow\nclients: { a: }" });
      client.send(packet, MARK);
      await marked();
      assert.equal(core.tun.written.length, 1);
      assert.equal(core.count("dropped", counter), 1);
      assert.deepEqual([...core.sessions][0]?.dropped, 1);
    });
  }

  for (const { name, packet, fault } of [
    { name: "neither IPv4 nor IPv6", packet: Uint8Array.of(0x50, 0, 0, 20), fault: "bad-version" },
    { name: "a length that lies", packet: Uint8Array.from([...upV4(1), 0]), fault: "length-mismatch" },
    {
      name: "a source route",
      packet: ipv4({ src: FIRST.ipv4, dst: HOST, options: [131, 7, 4, 10, 0, 0, 1, 0], payload: udp(1, 2) }),
      fault: "source-route",
    },
    {
      name: "endless extension headers",
      packet: ipv6({
        ...{ src: FIRST.ipv6, dst: HOST6, protocol: 60 },
        payload: [...Array.from({ length: 20 }, () => extension(60)).flat(), ...udp(1, 2)],
      }),
      fault: "too-many-extensions",
    },
  ] as const) {
    test(`${name}: the packet is dropped, the session stays`, async () => {
      const client = await joined();
      client.send(packet, MARK);
      await marked();
      assert.equal(core.tun.written.length, 1);
      assert.equal(core.count("malformed", fault), 1);
    });
  }
});

describe("a denied flow is answered", () => {
  const out = "198.51.100.1";
  const out6 = "2001:db9::1";
  const segment = { srcPort: 40_000, dstPort: 443, seq: 1000, ack: 77_000 };
  for (const { name, packet, answer } of [
    { name: "UDP", packet: upV4(9, out), answer: [1, 3, 13] },
    { name: "UDP over IPv6", packet: upV6(9, out6), answer: [58, 1, 1] },
    {
      name: "a TCP connection that begins",
      packet: ipv4({ src: FIRST.ipv4, dst: out, protocol: 6, payload: tcp({ ...segment, flags: 2 }) }),
      answer: [1, 3, 13],
    },
  ]) {
    test(`${name}: administratively prohibited, from the relay's address`, async () => {
      const client = await joined();
      client.send(packet, MARK);
      const got = await until("the answer", () => client.received[0]);
      const view = parsed(got);
      assert.deepEqual([view.protocol, view.icmpType, view.icmpCode], answer);
      const version = view.version === 4 ? ("ipv4" as const) : ("ipv6" as const);
      assert.deepEqual([view.src0, view.src1, view.src2, view.src3], words(RELAY[version]));
      assert.deepEqual([view.dst0, view.dst1, view.dst2, view.dst3], words(FIRST[version]));
      assert.deepEqual(got.subarray(-packet.length), packet, "it quotes the packet");
      await marked();
      assert.equal(core.count("answers", "icmp-prohibited"), 1);
      assert.equal(core.count("flows", "denied"), 1);
      const [flow] = await core.audited("flow");
      assert.deepEqual([flow?.action, flow?.rule, flow?.client], ["deny", "default_action", "a"]);
    });
  }

  for (const version of [4, 6] as const) {
    test(`a TCP connection in progress over IPv${version}: reset with the sequence number it waits for`, async () => {
      const client = await joined();
      const payload = tcp({ ...segment, flags: 0x10, data: bytesOf(10) });
      client.send(
        version === 4
          ? ipv4({ src: FIRST.ipv4, dst: out, protocol: 6, payload })
          : ipv6({ src: FIRST.ipv6, dst: out6, protocol: 6, payload }),
      );
      const got = await until("the reset", () => client.received[0]);
      const view = parsed(got);
      assert.deepEqual([view.srcPort, view.dstPort, view.tcpFlags], [443, 40_000, 4]);
      assert.equal(Buffer.from(got).readUInt32BE(view.transportOffset + 4), 77_000);
      assert.deepEqual(got, withChecksum(got, view.headerLength, 6, 16));
    });
  }

  test("but not more often than the limit allows", async () => {
    const client = await joined();
    client.send(...Array.from({ length: ANSWERS_BURST + 5 }, (_, port) => upV4(port + 1, out)), MARK);
    await marked();
    await until("the answers", () => client.received.length >= ANSWERS_BURST);
    assert.equal(client.received.length, ANSWERS_BURST);
    assert.equal(core.count("answers", "suppressed"), 5);
    assert.equal(core.count("dropped", "policy-deny"), ANSWERS_BURST + 5);
  });
});

describe("fragments follow their first", () => {
  const payload = udp(5000, 53, bytesOf(1000));
  const first4 = (dst: string): Uint8Array =>
    ipv4({ src: FIRST.ipv4, dst, id: 9, flagsAndOffset: 0x2000, payload: payload.slice(0, 504) });
  const later4 = (dst: string): Uint8Array =>
    ipv4({ src: FIRST.ipv4, dst, id: 9, flagsAndOffset: 63, payload: payload.slice(504) });
  const six = (offset: number, more: boolean, id: number): Uint8Array =>
    ipv6({
      ...{ src: FIRST.ipv6, dst: HOST6, protocol: 44 },
      payload: [...fragmentHeader(17, offset, more, id), ...payload.slice(offset, more ? 504 : undefined)],
    });
  for (const { name, fragments, passes, orphans, denied } of [
    { name: "IPv4", fragments: [first4(HOST), later4(HOST)], passes: 2, orphans: 0, denied: 0 },
    { name: "IPv6", fragments: [six(0, true, 1), six(504, false, 1)], passes: 2, orphans: 0, denied: 0 },
    { name: "another datagram's", fragments: [six(0, true, 1), six(504, false, 2)], passes: 1, orphans: 1, denied: 0 },
    { name: "out of order", fragments: [later4(HOST), first4(HOST)], passes: 1, orphans: 1, denied: 0 },
    {
      name: "of a denied flow",
      fragments: [first4("198.51.100.1"), later4("198.51.100.1")],
      ...{ passes: 0, orphans: 0, denied: 2 },
    },
  ]) {
    test(name, async () => {
      const client = await joined();
      client.send(...fragments, MARK);
      await marked();
      assert.equal(core.tun.written.length, passes + 1);
      assert.equal(core.count("dropped", "fragment-orphan"), orphans);
      assert.equal(core.count("dropped", "policy-deny"), denied);
      assert.equal(core.count("flows", "allowed") + core.count("flows", "denied"), 2, "fragments open no flow twice");
    });
  }
});

describe("ICMP errors of the client", () => {
  const answer = ipv4({ src: HOST, dst: FIRST.ipv4, payload: udp(53, 5000) });
  const error = (quoted: Uint8Array, dst = HOST): Uint8Array =>
    ipv4({ src: FIRST.ipv4, dst, protocol: 1, payload: icmp(3, 3, 0, quoted) });
  for (const { name, packet, passes } of [
    { name: "about an answer in an allowed flow, to who sent it", packet: error(answer), passes: true },
    { name: "to somebody else", packet: error(answer, "192.0.2.99"), passes: false },
    {
      name: "about a packet of no flow",
      packet: error(ipv4({ src: HOST, dst: FIRST.ipv4, payload: udp(53, 5001) })),
      passes: false,
    },
    { name: "about its own packet", packet: error(upV4(5000)), passes: false },
    { name: "that quotes too little", packet: error(answer.subarray(0, 24)), passes: false },
  ]) {
    test(`${name}: ${passes ? "passes" : "is judged as a flow of its own, and never answered"}`, async () => {
      const client = await joined({ policy: policyOf(ALLOW_DNS) });
      client.send(upV4(5000), packet, MARK);
      await marked();
      assert.equal(core.tun.written.length, passes ? 3 : 2);
      assert.equal(core.count("dropped", "policy-deny"), passes ? 0 : 1);
      assert.equal(core.counters.total("answers"), 0);
    });
  }
});

describe("offload", () => {
  const flow = { ...flows[0]!, src: FIRST.ipv4, dst: HOST };
  const data = bytesOf(3000);
  const superPacket = opened(packetOf(flow, { id: 1, seq: 1, flags: 0x10, data }), flow);
  const withHeader = (header: Partial<VnetHeader>, packet: Uint8Array): Uint8Array => {
    const frame = new Uint8Array(VNET_HEADER + packet.length);
    Object.assign(gsoHeader(flow, 1000), header).write(frame, 0);
    frame.set(packet, VNET_HEADER);
    return frame;
  };
  const plain = { flags: 0, gsoType: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };

  test("a super-packet passes whole, under one verdict, its header set right", async () => {
    const client = await joined({ device: "offload" }, "gso");
    client.send(withHeader({}, superPacket));
    await written(1);
    const [frame] = core.tun.written;
    assert.deepEqual(frame, withHeader({ hdrLen: 40 }, superPacket));
    assert.equal(core.count("packets", "from-client"), 1);
  });

  for (const { name, header, packet } of [
    { name: "the wrong kind", header: { gsoType: 4 }, packet: superPacket },
    { name: "segments above the MTU", header: { gsoSize: MTU }, packet: superPacket },
    { name: "a checksum in the address", header: { ...plain, flags: 1, csumStart: 12 }, packet: superPacket },
    { name: "a large packet called a small one", header: plain, packet: superPacket },
    { name: "an unknown flag", header: { flags: 8 }, packet: superPacket },
  ]) {
    test(`a header that lies (${name}) ends the session; what came before it passes`, async () => {
      const client = await joined({ device: "offload" }, "gso");
      const neighbour = await core.join("b", { offload: "gso" });
      client.send(withHeader(plain, MARK), withHeader(header, packet), withHeader(plain, upV4(2)));
      const closed = await until("the end", () => client.closed);
      assert.equal(closed.code, HTTP3_CODE.H3_MESSAGE_ERROR);
      assert.match(closed.reason, /^lane 0: /);
      assert.equal(core.tun.written.length, 1);
      assert.equal(core.count("frameErrors", "bad-offload-header"), 1);
      assert.equal(core.count("sessionsEnded", "protocol-error"), 1);
      assert.equal(neighbour.closed, undefined);
    });
  }

  test("a frame without offload is bounded by the MTU", async () => {
    const client = await joined();
    client.sendBytes(Uint8Array.of((MTU + 1) >> 8, (MTU + 1) & 255));
    const closed = await until("the end", () => client.closed);
    assert.deepEqual([closed.code, closed.reason], [HTTP3_CODE.H3_MESSAGE_ERROR, "lane 0: frame too long"]);
    assert.equal(core.count("frameErrors", "too-long"), 1);
  });
});

describe("limits", () => {
  test("new flows: the burst, then no more; those in progress go on", async () => {
    const client = await joined();
    const ports = Array.from({ length: 2 * FLOWS_BURST }, (_, index) => index + 1);
    const startMs = performance.now();
    client.send(...ports.map((port) => upV4(port)), upV4(1));
    const passed = await until("the packets", () => {
      const { length } = core.tun.written;
      return length + core.count("dropped", "flow-rate") === 2 * FLOWS_BURST + 1 && length;
    });
    const refilled = ((performance.now() - startMs) / 1000) * FLOWS_PER_SECOND;
    assert.ok(passed > FLOWS_BURST && passed <= FLOWS_BURST + refilled + 1, `${passed} passed`);
    assert.deepEqual(core.tun.written.at(-1), upV4(1));
  });

  test("new flows: a client that opens its session again gets no fresh burst, another client has its own", async () => {
    const startMs = performance.now();
    const flows = Array.from({ length: FLOWS_BURST }, (_, index) => upV4(index + 1));
    (await joined()).send(...flows);
    await until("the burst", () => core.tun.written.length === FLOWS_BURST);
    (await core.join("a")).send(...flows);
    const judged = (): number => core.tun.written.length + core.count("dropped", "flow-rate");
    await until("the packets", () => judged() === 2 * FLOWS_BURST);
    const refilled = ((performance.now() - startMs) / 1000) * FLOWS_PER_SECOND;
    const passed = core.tun.written.length;
    assert.ok(passed <= FLOWS_BURST + refilled + 1, `${passed} passed`);
    (await core.join("b")).send(upV4(1, HOST, SECOND.ipv4));
    await until("the other client's", () => core.tun.written.length === passed + 1);
  });

  test("a client's rate: what is over it is dropped, another client's is not", async () => {
    const client = await joined({ policy: policyOf(ALLOW, "rate_limit: { up: 1k },") });
    const neighbour = await core.join("b");
    const large = ipv4({ src: FIRST.ipv4, dst: HOST, payload: udp(1, 53, bytesOf(MTU - 28)) });
    const fits = Math.floor(RATE_BURST_BYTES / MTU);
    const judged = (): number => core.tun.written.length + core.count("dropped", "rate-limit");
    for (let sent = 100; sent < fits + 100; sent += 100) {
      client.send(...Array.from({ length: 100 }, () => large));
      await until("the packets", () => judged() === sent);
    }
    neighbour.send(upV4(65_000, HOST, SECOND.ipv4));
    await until("the neighbour's packet", () => core.tun.written.at(-1)?.length === 28);
    const passed = core.tun.written.filter(({ length }) => length === large.length).length;
    assert.equal(passed, fits);
  });

  test("an audit that cannot be written lets no new flow in when it fails closed", async () => {
    const client = await joined({ auditFailClosed: true, policy: policyOf(ALLOW) });
    client.send(MARK);
    await marked();
    core.auditSink.failing = true;
    client.send(upV4(1, "198.51.100.1"));
    await until("the failure", () => {
      if (core.tun.written.length > 1) assert.fail("a new flow passed");
      client.send(upV4(2, "198.51.100.2"));
      return core.count("dropped", "audit-fail-closed") > 0;
    });
    client.send(upV4(3), MARK);
    await written(2);
    assert.deepEqual(core.tun.written, [MARK, MARK]);
  });
});

describe("a plain RFC 9484 client", () => {
  const datagram = (context: number, packet: Uint8Array): Uint8Array => Uint8Array.of(context, ...packet);

  async function plainClient(options: Partial<CoreOptions> = {}, maxDatagramSize = 1500): Promise<Client> {
    core = await RelayCore.open({ policy: policyOf(ALLOW), ...options });
    const client = await core.connect("a", { maxDatagramSize });
    await client.openSession();
    return client;
  }

  for (const device of ["plain", "offload"] as const) {
    test(`sends its packets in datagrams (${device} device); other contexts are ignored`, async () => {
      const client = await plainClient({ device });
      client.sendDatagram(Uint8Array.of());
      client.sendDatagram(datagram(0, upV4(1, HOST, SECOND.ipv4)));
      client.sendDatagram(datagram(2, upV4(2)));
      client.sendDatagram(datagram(0, upV6(3)));
      client.sendDatagram(datagram(0, MARK));
      await written(2);
      const skip = device === "offload" ? VNET_HEADER : 0;
      assert.deepEqual(
        core.tun.written.map((frame) => frame.subarray(skip)),
        [upV6(3), MARK],
      );
      assert.equal(core.count("dropped", "source-address"), 1);
    });

    test(`sends them in capsules, and is told when they are too large (${device} device)`, async () => {
      const client = await plainClient({ device }, 0);
      const large = ipv6({ src: FIRST.ipv6, dst: HOST6, payload: udp(1, 53, bytesOf(65_000)) });
      const jumbo = ipv6({ src: FIRST.ipv6, dst: HOST6, protocol: 59, payload: bytesOf(65_500) });
      for (const packet of [large, jumbo, MARK])
        client.sendCapsule(encodeCapsule(CAPSULE_DATAGRAM, datagram(0, packet)));
      await written(1);
      assert.equal(core.tun.written.length, 1);
      assert.equal(core.count("dropped", "oversize"), 2);
      const capsules = await until("the answers", () => {
        const found = client.capsules.filter(({ type }) => type === CAPSULE_DATAGRAM);
        return found.length === 2 && found;
      });
      for (const { value } of capsules) {
        const view = parsed(value.subarray(1));
        assert.deepEqual([view.icmpType, view.icmpCode], [2, 0], "packet too big");
        assert.equal(Buffer.from(value).readUInt32BE(1 + 44), MTU);
      }
      assert.equal(client.closed, undefined);
    });
  }
});

test("a fault of the relay ends the session that met it, and no other", async () => {
  const client = await joined();
  const neighbour = await core.join("b");
  const { write } = core.tun;
  core.tun.write = () => {
    throw new TypeError("a fault");
  };
  client.send(MARK);
  const closed = await until("the end", () => client.closed);
  core.tun.write = write;
  assert.deepEqual([closed.code, closed.reason], [HTTP3_CODE.H3_INTERNAL_ERROR, "the relay failed"]);
  assert.equal(core.count("sessionsEnded", "internal-error"), 1);
  neighbour.send(upV4(1, HOST, SECOND.ipv4));
  await written(1);
});

function parsed(packet: Uint8Array): PacketView {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  return view;
}
