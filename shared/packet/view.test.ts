import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allocatedPerRun } from "../allocation.ts";
import { PACKET_FAULTS, packetFaultName } from "./fault.ts";
import { extension, fragmentHeader, hex, icmp, ipv4, ipv6, tcp, u16, udp } from "./fixture.ts";
import { flowHash } from "./flow-hash.ts";
import { PacketView } from "./view.ts";

function parsed(packet: Uint8Array): PacketView {
  const view = new PacketView();
  assert.equal(view.parse(packet, 0, packet.length), true, packetFaultName(view.fault));
  return view;
}

function faultOf(packet: Uint8Array): string {
  const view = new PacketView();
  assert.equal(view.parse(packet, 0, packet.length), false);
  return packetFaultName(view.fault);
}

const data = hex("00112233445566778899");
const ROUTING_DONE = [17, 0, 0, 0, 0, 0, 0, 0];

describe("PacketView reads", () => {
  test("a TCP segment byte by byte", () => {
    const packet = hex(
      `
      45 00 0034 1c46 4000 40 06 b1e6 0a5a0002 c0000201   IPv4, DF, TTL 64, TCP, 10.90.0.2 to 192.0.2.1
      9c40 01bb 00000001 00000002 80 18 01f6 0000 0000    ports 40000 and 443, 32 bytes of header, PSH ACK
      0101080a0000000100000002                            timestamps`.replaceAll(/ {3,}[A-Za-z].*$/gm, ""),
    );
    const view = parsed(packet);
    assert.deepEqual(
      { ...view },
      {
        version: 4,
        protocol: 6,
        ...{ src0: 0, src1: 0, src2: 0, src3: 0x0a5a_0002, dst0: 0, dst1: 0, dst2: 0, dst3: 0xc000_0201 },
        ...{ hasPorts: true, srcPort: 40_000, dstPort: 443, icmpType: -1, icmpCode: 0, icmpId: 0 },
        ...{ isFragment: false, isLaterFragment: false, fragmentId: 0, tcpFlags: 0x18, hopLimit: 64 },
        ...{ offset: 0, headerLength: 20, transportOffset: 20, transportHeaderLength: 32, totalLength: 52, fault: 0 },
      },
    );
  });

  const udpDatagram = udp(5000, 53, data);
  const rows: { name: string; packet: Uint8Array; expect: Partial<PacketView> }[] = [
    {
      name: "UDP over IPv6",
      packet: ipv6({ payload: udpDatagram, hopLimit: 3 }),
      expect: {
        version: 6,
        protocol: 17,
        hasPorts: true,
        srcPort: 5000,
        dstPort: 53,
        hopLimit: 3,
        headerLength: 40,
        transportHeaderLength: 8,
        src0: 0xfd00_0000,
        src3: 1,
        dst0: 0xfd00_0000,
        dst3: 2,
      },
    },
    {
      name: "a UDP length shorter than the packet",
      packet: ipv4({ payload: [...udpDatagram, 0, 0] }),
      expect: { hasPorts: true, dstPort: 53 },
    },
    {
      name: "IPv4 options",
      packet: ipv4({ options: [1, 148, 4, 0, 0, 0, 1, 0], payload: udpDatagram }),
      expect: { hasPorts: true, headerLength: 28, dstPort: 53 },
    },
    {
      name: "options that end early",
      packet: ipv4({ options: [0, 131, 255, 255], payload: udpDatagram }),
      expect: { hasPorts: true, headerLength: 24 },
    },
    {
      name: "ICMP echo",
      packet: ipv4({ protocol: 1, payload: icmp(8, 0, 0x1234_0001, data) }),
      expect: { icmpType: 8, icmpCode: 0, icmpId: 0x1234, hasPorts: false, dstPort: 0 },
    },
    {
      name: "ICMP port unreachable has no identifier",
      packet: ipv4({ protocol: 1, payload: icmp(3, 3, 0x1234_0001) }),
      expect: { icmpType: 3, icmpCode: 3, icmpId: 0 },
    },
    {
      name: "ICMPv6 echo reply",
      packet: ipv6({ protocol: 58, payload: icmp(129, 0, 0x1234_0001) }),
      expect: { icmpType: 129, icmpId: 0x1234 },
    },
    {
      name: "ICMPv6 packet too big",
      packet: ipv6({ protocol: 58, payload: icmp(2, 0, 1280) }),
      expect: { icmpType: 2, icmpId: 0 },
    },
    {
      name: "ICMP over IPv6 is just a protocol",
      packet: ipv6({ protocol: 1, payload: [8] }),
      expect: { protocol: 1, icmpType: -1, hasPorts: false },
    },
    {
      name: "ICMPv6 over IPv4 is just a protocol",
      packet: ipv4({ protocol: 58, payload: [] }),
      expect: { protocol: 58, icmpType: -1, hasPorts: false },
    },
    {
      name: "SCTP",
      packet: ipv4({ protocol: 132, payload: [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0] }),
      expect: { hasPorts: true, srcPort: 1, dstPort: 2, transportHeaderLength: 0 },
    },
    {
      name: "GRE has no ports",
      packet: ipv4({ protocol: 47, payload: data }),
      expect: { protocol: 47, hasPorts: false, srcPort: 0 },
    },
    {
      name: "nothing behind the header",
      packet: ipv4({ protocol: 255 }),
      expect: { protocol: 255, totalLength: 20, hasPorts: false },
    },
    {
      name: "a first fragment",
      packet: ipv4({ id: 7, flagsAndOffset: 0x2000, payload: udp(1, 2, data) }),
      expect: { isFragment: true, isLaterFragment: false, fragmentId: 7, hasPorts: true },
    },
    {
      name: "a first fragment of a datagram longer than it",
      packet: ipv4({ id: 7, flagsAndOffset: 0x2000, payload: [0, 1, 0, 2, 5, 0xdc, 0, 0] }),
      expect: { isFragment: true, hasPorts: true, dstPort: 2 },
    },
    {
      name: "a later fragment has no ports, whatever its bytes",
      packet: ipv4({ id: 7, flagsAndOffset: 3, payload: udpDatagram }),
      expect: { isFragment: true, isLaterFragment: true, fragmentId: 7, protocol: 17, hasPorts: false, dstPort: 0 },
    },
    {
      name: "a later fragment of ICMP has no type",
      packet: ipv4({ protocol: 1, flagsAndOffset: 1, payload: icmp(8, 0, 1) }),
      expect: { isLaterFragment: true, icmpType: -1 },
    },
    {
      name: "all the extension headers that are walked",
      packet: ipv6({
        protocol: 0,
        payload: [
          ...extension(60),
          ...extension(43, 16),
          ...ROUTING_DONE.with(0, 51),
          60,
          4,
          0,
          0,
          ...Array(20).fill(0),
          ...extension(17, 24),
          ...udpDatagram,
        ],
      }),
      expect: { protocol: 17, hasPorts: true, dstPort: 53, headerLength: 40 + 8 + 16 + 8 + 24 + 24 },
    },
    {
      name: "an atomic fragment is whole",
      packet: ipv6({ protocol: 44, payload: [...fragmentHeader(17, 0, false, 9), ...udpDatagram] }),
      expect: { isFragment: false, fragmentId: 0, hasPorts: true, headerLength: 48 },
    },
    {
      name: "a first IPv6 fragment",
      packet: ipv6({
        protocol: 44,
        payload: [...fragmentHeader(60, 0, true, 0xffff_fffe), ...extension(17), ...udpDatagram],
      }),
      expect: {
        isFragment: true,
        isLaterFragment: false,
        fragmentId: 0xffff_fffe,
        protocol: 17,
        hasPorts: true,
        headerLength: 56,
      },
    },
    {
      name: "a later IPv6 fragment",
      packet: ipv6({ protocol: 44, payload: [...fragmentHeader(17, 1480, false, 9), ...udpDatagram] }),
      expect: {
        isFragment: true,
        isLaterFragment: true,
        fragmentId: 9,
        protocol: 17,
        hasPorts: false,
        headerLength: 48,
        transportOffset: 48,
      },
    },
    {
      name: "ESP ends the walk",
      packet: ipv6({ protocol: 60, payload: [...extension(50), ...data] }),
      expect: { protocol: 50, hasPorts: false, headerLength: 48 },
    },
    {
      name: "no next header ends the walk",
      packet: ipv6({ protocol: 59, payload: udpDatagram }),
      expect: { protocol: 59, hasPorts: false },
    },
    {
      name: "a mobility header hides what it carries",
      packet: ipv6({ protocol: 135, payload: [...extension(17), ...udpDatagram] }),
      expect: { protocol: 135, hasPorts: false, headerLength: 40 },
    },
    {
      name: "IPv4 in IPv6",
      packet: ipv6({ protocol: 4, payload: ipv4({ payload: udpDatagram }) }),
      expect: { protocol: 4, hasPorts: false },
    },
  ];
  for (const { name, packet, expect } of rows) {
    test(name, () => {
      const view = parsed(packet);
      const found = Object.fromEntries(Object.keys(expect).map((key) => [key, Reflect.get(view, key)]));
      assert.deepEqual(found, expect);
    });
  }
});

describe("PacketView refuses", () => {
  const udp4 = ipv4({ payload: udp(5000, 53, data) });
  const udp6 = ipv6({ payload: udp(5000, 53, data) });
  const rows: { name: string; packet: Uint8Array; fault: string }[] = [
    { name: "no bytes", packet: hex(""), fault: "truncated" },
    { name: "version 0", packet: hex("00"), fault: "bad-version" },
    { name: "version 15", packet: hex("f0"), fault: "bad-version" },
    { name: "19 bytes of IPv4", packet: udp4.subarray(0, 19), fault: "truncated" },
    { name: "39 bytes of IPv6", packet: udp6.subarray(0, 39), fault: "truncated" },
    { name: "IPv4 cut short", packet: udp4.subarray(0, -1), fault: "length-mismatch" },
    { name: "IPv6 cut short", packet: udp6.subarray(0, -1), fault: "length-mismatch" },
    { name: "a byte behind IPv4", packet: Uint8Array.from([...udp4, 0]), fault: "length-mismatch" },
    { name: "a byte behind IPv6", packet: Uint8Array.from([...udp6, 0]), fault: "length-mismatch" },
    { name: "a header of 16 bytes", packet: udp4.with(0, 0x44), fault: "bad-header-length" },
    { name: "a header longer than the packet", packet: udp4.with(0, 0x4f), fault: "bad-header-length" },
    {
      name: "a loose source route",
      packet: ipv4({ options: [1, 131, 7, 4, 10, 0, 0, 9], payload: udp(1, 2) }),
      fault: "source-route",
    },
    {
      name: "a strict source route",
      packet: ipv4({ options: [137, 7, 4, 10, 0, 0, 9, 0], payload: udp(1, 2) }),
      fault: "source-route",
    },
    {
      name: "an option of length 1",
      packet: ipv4({ options: [148, 1, 0, 0], payload: udp(1, 2) }),
      fault: "bad-option",
    },
    {
      name: "an option that ends behind the header",
      packet: ipv4({ options: [1, 1, 148, 3], payload: udp(1, 2) }),
      fault: "bad-option",
    },
    {
      name: "an option cut off before its length",
      packet: ipv4({ options: [1, 1, 1, 148], payload: udp(1, 2) }),
      fault: "bad-option",
    },
    {
      name: "a jumbogram",
      packet: Uint8Array.from([...ipv6({ protocol: 0 }), ...extension(17), ...udp(1, 2)]),
      fault: "jumbogram",
    },
    {
      name: "a routing header with segments left",
      packet: ipv6({ protocol: 43, payload: [17, 2, 0, 1, ...Array(20).fill(0), ...udp(1, 2)] }),
      fault: "source-route",
    },
    {
      name: "a hop-by-hop header that is not first",
      packet: ipv6({ protocol: 60, payload: [...extension(0), ...extension(17), ...udp(1, 2)] }),
      fault: "bad-extension",
    },
    {
      name: "two fragment headers",
      packet: ipv6({
        protocol: 44,
        payload: [...fragmentHeader(44, 0, true, 1), ...fragmentHeader(17, 0, true, 2), ...udp(1, 2)],
      }),
      fault: "bad-extension",
    },
    {
      name: "nine extension headers",
      packet: ipv6({
        protocol: 60,
        payload: [...Array.from({ length: 8 }, () => extension(60)).flat(), ...extension(17), ...udp(1, 2)],
      }),
      fault: "too-many-extensions",
    },
    {
      name: "an extension header cut off",
      packet: ipv6({ protocol: 60, payload: extension(17).slice(0, 7) }),
      fault: "truncated",
    },
    {
      name: "an extension header longer than the packet",
      packet: ipv6({ protocol: 60, payload: extension(17, 16).slice(0, 8) }),
      fault: "truncated",
    },
    {
      name: "a first fragment without its transport header",
      packet: ipv4({ flagsAndOffset: 0x2000, payload: udp(1, 2).slice(0, 7) }),
      fault: "bad-transport",
    },
    {
      name: "a second fragment inside the TCP header",
      packet: ipv4({ protocol: 6, flagsAndOffset: 1, payload: data }),
      fault: "tiny-fragment",
    },
    {
      name: "an IPv6 fragment inside the TCP header",
      packet: ipv6({ protocol: 44, payload: [...fragmentHeader(6, 16, false, 1), ...data] }),
      fault: "tiny-fragment",
    },
    {
      name: "a fragment that ends behind 65535",
      packet: ipv4({ flagsAndOffset: 0x1fff, payload: data }),
      fault: "fragment-overflow",
    },
    {
      name: "an IPv6 fragment that ends behind 65535",
      packet: ipv6({ protocol: 44, payload: [...fragmentHeader(17, 0xfff8, false, 1), ...data] }),
      fault: "fragment-overflow",
    },
    { name: "19 bytes of TCP", packet: ipv4({ protocol: 6, payload: tcp({}).slice(0, 19) }), fault: "bad-transport" },
    {
      name: "a TCP header of 16 bytes",
      packet: ipv4({ protocol: 6, payload: tcp({}).with(12, 0x40) }),
      fault: "bad-transport",
    },
    {
      name: "a TCP header longer than the packet",
      packet: ipv4({ protocol: 6, payload: tcp({}).with(12, 0x60) }),
      fault: "bad-transport",
    },
    {
      name: "a first fragment that cuts the TCP options",
      packet: ipv4({ flagsAndOffset: 0x2000, protocol: 6, payload: tcp({}).with(12, 0x60) }),
      fault: "bad-transport",
    },
    { name: "7 bytes of UDP", packet: ipv4({ payload: udp(1, 2).slice(0, 7) }), fault: "bad-transport" },
    { name: "a UDP length of 7", packet: ipv4({ payload: udp(1, 2).with(5, 7) }), fault: "bad-transport" },
    { name: "a UDP length behind the packet", packet: ipv4({ payload: udp(1, 2).with(5, 9) }), fault: "bad-transport" },
    {
      name: "7 bytes of ICMP",
      packet: ipv4({ protocol: 1, payload: icmp(8, 0, 0).slice(0, 7) }),
      fault: "bad-transport",
    },
    { name: "11 bytes of SCTP", packet: ipv4({ protocol: 132, payload: Array(11).fill(0) }), fault: "bad-transport" },
  ];
  for (const { name, packet, fault } of rows) test(name, () => assert.equal(faultOf(packet), fault));

  test("every fault has a case", () => {
    assert.deepEqual(
      PACKET_FAULTS.filter((fault) => fault !== "none" && !rows.some((row) => row.fault === fault)),
      [],
    );
  });

  test("a range outside the slab", () => {
    const view = new PacketView();
    assert.equal(view.parse(udp4, 0, udp4.length + 1), false);
    assert.equal(view.parse(udp4, -1, udp4.length), false);
    assert.equal(view.parse(udp4, 5, 5), false);
    assert.equal(view.parse(udp4, 6, 5), false);
  });
});

const likelyByte = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 6, 17, 43, 44, 51, 58, 60));
/** A packet whose version and length are right; the rest is likely to be almost right. */
const almost = fc
  .tuple(fc.constantFrom(0x45, 0x46, 0x4f, 0x60), fc.array(likelyByte, { minLength: 39, maxLength: 200 }))
  .map(([first, rest]) => {
    const packet = Uint8Array.from([first, ...rest]);
    if (first >> 4 === 4) packet.set(u16(packet.length), 2);
    else packet.set(u16(packet.length - 40), 4);
    return packet;
  });

describe("PacketView on any bytes", () => {
  test("says yes or names a fault, and what it says lies inside the packet", () => {
    const view = new PacketView();
    fc.assert(
      fc.property(fc.oneof(almost, fc.uint8Array({ maxLength: 120 })), fc.nat(20), (packet, front) => {
        const slab = new Uint8Array(front + packet.length + 30).fill(0x11);
        slab.set(packet, front);
        const end = front + packet.length;
        const accepted = view.parse(slab, front, end);
        assert.equal(accepted, view.fault === 0);
        assert.ok(view.fault >= 0 && view.fault < PACKET_FAULTS.length);
        if (!accepted) return;
        assert.ok(view.transportOffset >= front + 20 && view.transportOffset <= end);
        assert.equal(view.transportOffset, front + view.headerLength);
        if (!view.isFragment) assert.ok(view.transportOffset + view.transportHeaderLength <= end);
        assert.equal(view.totalLength, packet.length);
        if (view.isLaterFragment) assert.ok(!view.hasPorts && view.icmpType === -1);
      }),
      { numRuns: 2_000 },
    );
  });

  test("no truncation of a good packet is accepted", () => {
    const packets = [
      ipv4({ protocol: 6, payload: tcp({ data }) }),
      ipv6({ protocol: 0, payload: [...extension(17), ...udp(1, 2, data)] }),
    ];
    const view = new PacketView();
    for (const packet of packets) {
      for (let end = 0; end < packet.length; end++) assert.equal(view.parse(packet, 0, end), false);
    }
  });

  test("does not look outside its range", () => {
    fc.assert(
      fc.property(almost, fc.nat(255), fc.nat(255), (packet, a, b) => {
        const views = [a, b].map((fill) => {
          const slab = new Uint8Array(packet.length + 40).fill(fill);
          slab.set(packet, 20);
          const view = new PacketView();
          view.parse(slab, 20, 20 + packet.length);
          return { ...view };
        });
        assert.deepEqual(views[0], views[1]);
      }),
    );
  });
});

test("parsing and hashing allocate nothing", () => {
  const packets = [
    ipv4({ src: "10.90.0.2", dst: "192.0.2.1", protocol: 6, payload: tcp({ data }) }),
    ipv6({ src: "fd00::1", dst: "2001:db8::ffff:ffff", protocol: 0, payload: [...extension(17), ...udp(1, 2, data)] }),
    ipv4({ id: 65_535, flagsAndOffset: 0x2000, payload: udp(1, 2, data) }),
    hex("45"),
  ];
  const view = new PacketView();
  let odd = 0;
  const bytes = allocatedPerRun(() => {
    for (const packet of packets) {
      if (view.parse(packet, 0, packet.length)) odd += flowHash(view, 1) & 1;
    }
  });
  assert.ok(bytes < 1, `${bytes} bytes for ${packets.length} packets`);
  assert.ok(odd > 0);
});

describe("flowHash", () => {
  const base = { src: "10.0.0.1", dst: "10.0.0.2", payload: udp(1, 2) };
  const hashOf = (packet: Uint8Array, seed = 0): number => flowHash(parsed(packet), seed);

  test("each part of the 5-tuple counts", () => {
    const packets = [
      ipv4(base),
      ipv4({ ...base, src: "10.0.0.3" }),
      ipv4({ ...base, dst: "10.0.0.3" }),
      ipv4({ ...base, payload: udp(3, 2) }),
      ipv4({ ...base, payload: udp(1, 3) }),
      ipv4({ ...base, payload: udp(2, 1) }),
      ipv4({ ...base, protocol: 136 }),
      ipv4({ ...base, protocol: 1, payload: icmp(8, 0, 0x1_0000) }),
      ipv4({ ...base, protocol: 1, payload: icmp(8, 0, 0x2_0000) }),
      ipv6({ payload: udp(1, 2) }),
      ipv6({ src: "fe00::1", payload: udp(1, 2) }),
      ipv6({ dst: "fd00:0:0:1::2", payload: udp(1, 2) }),
    ];
    assert.equal(new Set(packets.map((packet) => hashOf(packet))).size, packets.length);
    assert.notEqual(hashOf(ipv4(base), 1), hashOf(ipv4(base), 2));
  });

  test("what is no part of it does not", () => {
    assert.equal(hashOf(ipv4(base)), hashOf(ipv4({ ...base, id: 99, ttl: 1, payload: udp(1, 2, data) })));
  });

  test("all fragments of a datagram hash alike", () => {
    const first = hashOf(ipv4({ ...base, id: 5, flagsAndOffset: 0x2000, payload: udp(1, 2, data) }));
    const later = hashOf(ipv4({ ...base, id: 5, flagsAndOffset: 100, payload: data }));
    assert.equal(first, later);
    const first6 = hashOf(
      ipv6({ protocol: 44, payload: [...fragmentHeader(60, 0, true, 5), ...extension(17), ...udp(1, 2)] }),
    );
    const later6 = hashOf(ipv6({ protocol: 44, payload: [...fragmentHeader(60, 1480, false, 5), ...data] }));
    assert.equal(first6, later6);
  });

  test("ports one after the other spread evenly over 8 lanes", () => {
    const counts = Array.from({ length: 8 }, () => 0);
    for (let port = 0; port < 8_000; port++) {
      const lane = hashOf(ipv4({ ...base, payload: udp(1024 + port, 443) })) >>> 29;
      counts[lane]! += 1;
    }
    // 1,000 each; 6 standard deviations are 177.
    for (const count of counts) assert.ok(Math.abs(count - 1_000) < 180, `${counts}`);
  });
});
