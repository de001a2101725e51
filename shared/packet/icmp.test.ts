import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isChecksumRight } from "./checksum.ts";
import { extension, fragmentHeader, hex, icmp, ipv4, ipv6, naiveChecksum, tcp, udp, words } from "./fixture.ts";
import {
  ICMP_HOST_UNREACHABLE,
  ICMP_NO_ROUTE,
  ICMP_PORT_UNREACHABLE,
  ICMP_PROHIBITED,
  ICMP_TIME_EXCEEDED,
  ICMP_TOO_BIG,
  MAX_ICMP_ERROR,
  writeIcmpError,
} from "./icmp.ts";
import type { IcmpError } from "./icmp.ts";
import { writeTcpReset } from "./tcp-reset.ts";
import { PacketView } from "./view.ts";

const RELAY4 = words("10.90.0.1");
const RELAY6 = words("fd00::1");

function errorAbout(packet: Uint8Array, error: IcmpError, mtu = 0): Uint8Array {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  const out = new Uint8Array(MAX_ICMP_ERROR + 3).fill(0xee);
  const length = writeIcmpError(error, mtu, view, packet, view.version === 4 ? RELAY4 : RELAY6, out, 3);
  return out.slice(3, 3 + length);
}

describe("writeIcmpError", () => {
  test("administratively prohibited over IPv4, byte by byte", () => {
    const packet = ipv4({ src: "10.90.0.2", dst: "192.0.2.1", payload: udp(5000, 53, [1, 2]) });
    const found = errorAbout(packet, ICMP_PROHIBITED);
    const expected = [
      ...hex("4500 003a 0000 4000 40 01 2600 0a5a0001 0a5a0002"), // 58 bytes, DF, TTL 64, ICMP
      ...[3, 13, 0, 0, 0, 0, 0, 0],
      ...packet,
    ];
    expected.splice(10, 2, 0, 0);
    const header = naiveChecksum(expected.slice(0, 20));
    expected.splice(10, 2, header >>> 8, header & 255);
    const checksum = naiveChecksum(expected.slice(20));
    expected.splice(22, 2, checksum >>> 8, checksum & 255);
    assert.deepEqual([...found], expected);
  });

  test("packet too big over IPv6, byte by byte", () => {
    const packet = ipv6({ src: "fd00::2", dst: "2001:db8::1", payload: udp(5000, 53, [1, 2]) });
    const found = errorAbout(packet, ICMP_TOO_BIG, 1_280);
    assert.deepEqual(
      found.subarray(0, 40),
      hex("60000000 003a 3a 40 fd000000000000000000000000000001 fd000000000000000000000000000002"),
    );
    assert.deepEqual(found.subarray(40, 42), hex("02 00"));
    assert.deepEqual(found.subarray(44, 48), hex("00000500"));
    assert.deepEqual(found.subarray(48), packet);
    assert.ok(isChecksumRight(found, 0, 58, 40, found.length));
  });

  const kinds = [
    { name: "prohibited", error: ICMP_PROHIBITED, v4: [3, 13], v6: [1, 1] },
    { name: "no route", error: ICMP_NO_ROUTE, v4: [3, 0], v6: [1, 0] },
    { name: "host unreachable", error: ICMP_HOST_UNREACHABLE, v4: [3, 1], v6: [1, 3] },
    { name: "port unreachable", error: ICMP_PORT_UNREACHABLE, v4: [3, 3], v6: [1, 4] },
    { name: "time exceeded", error: ICMP_TIME_EXCEEDED, v4: [11, 0], v6: [3, 0] },
    { name: "too big", error: ICMP_TOO_BIG, v4: [3, 4], v6: [2, 0] },
  ];
  for (const { name, error, v4, v6 } of kinds) {
    test(`${name}: type and code`, () => {
      assert.deepEqual([...errorAbout(ipv4({ payload: udp(1, 2) }), error).subarray(20, 22)], v4);
      assert.deepEqual([...errorAbout(ipv6({ payload: udp(1, 2) }), error).subarray(40, 42)], v6);
    });
  }

  const echo = icmp(8, 0, 1);
  const silent: { name: string; packet: Uint8Array; error: IcmpError }[] = [
    { name: "an ICMP error", packet: ipv4({ protocol: 1, payload: icmp(3, 1, 0) }), error: ICMP_PROHIBITED },
    { name: "an ICMP redirect", packet: ipv4({ protocol: 1, payload: icmp(5, 1, 0) }), error: ICMP_PROHIBITED },
    { name: "an ICMPv6 error", packet: ipv6({ protocol: 58, payload: icmp(4, 0, 0) }), error: ICMP_PROHIBITED },
    { name: "an ICMPv6 redirect", packet: ipv6({ protocol: 58, payload: icmp(137, 0, 0) }), error: ICMP_PROHIBITED },
    { name: "a later fragment", packet: ipv4({ flagsAndOffset: 9, payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    {
      name: "a later IPv6 fragment",
      packet: ipv6({ protocol: 44, payload: [...fragmentHeader(17, 80, true, 1), 0] }),
      error: ICMP_TIME_EXCEEDED,
    },
    { name: "to IPv4 multicast", packet: ipv4({ dst: "239.255.255.250", payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    { name: "to IPv4 broadcast", packet: ipv4({ dst: "255.255.255.255", payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    { name: "to IPv6 multicast", packet: ipv6({ dst: "ff02::1", payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    { name: "from nobody", packet: ipv4({ src: "0.0.0.0", payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    { name: "from multicast", packet: ipv4({ src: "224.0.0.1", payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    { name: "from loopback", packet: ipv4({ src: "127.0.0.1", protocol: 1, payload: echo }), error: ICMP_PROHIBITED },
    {
      name: "from the unspecified IPv6 address",
      packet: ipv6({ src: "::", payload: udp(1, 2) }),
      error: ICMP_PROHIBITED,
    },
  ];
  for (const { name, packet, error } of silent)
    test(`none about a packet: ${name}`, () => assert.equal(errorAbout(packet, error).length, 0));

  const answered: { name: string; packet: Uint8Array; error: IcmpError }[] = [
    { name: "an echo request", packet: ipv4({ protocol: 1, payload: echo }), error: ICMP_PROHIBITED },
    { name: "a first fragment", packet: ipv4({ flagsAndOffset: 0x2000, payload: udp(1, 2) }), error: ICMP_PROHIBITED },
    { name: "to IPv6 multicast, too big", packet: ipv6({ dst: "ff0e::1", payload: udp(1, 2) }), error: ICMP_TOO_BIG },
    {
      name: "extension headers",
      packet: ipv6({ protocol: 60, payload: [...extension(17), ...udp(1, 2)] }),
      error: ICMP_PROHIBITED,
    },
  ];
  for (const { name, packet, error } of answered)
    test(`one about ${name}`, () => assert.ok(errorAbout(packet, error).length > 0));

  test("any size: quoted up to the limit, and itself a right packet", () => {
    fc.assert(
      fc.property(fc.nat(2_000), fc.boolean(), (size, v4) => {
        const payload = udp(1, 2, new Uint8Array(size).fill(7));
        const packet = v4 ? ipv4({ payload }) : ipv6({ payload });
        const found = errorAbout(packet, ICMP_HOST_UNREACHABLE);
        const header = v4 ? 28 : 48;
        assert.equal(found.length, Math.min(header + packet.length, v4 ? 576 : 1_280));
        assert.deepEqual(found.subarray(header), packet.subarray(0, found.length - header));
        const view = new PacketView();
        assert.ok(view.parse(found, 0, found.length));
        if (v4) assert.equal(naiveChecksum(found.subarray(20)), 0);
        else assert.ok(isChecksumRight(found, 0, 58, 40, found.length));
      }),
      { numRuns: 50 },
    );
  });

  test("no room is a RangeError", () => {
    const view = new PacketView();
    const packet = ipv4({ payload: udp(1, 2) });
    assert.ok(view.parse(packet, 0, packet.length));
    assert.throws(() => writeIcmpError(ICMP_PROHIBITED, 0, view, packet, RELAY4, new Uint8Array(55), 0), {
      name: "RangeError",
      message: "an ICMP error of 56 bytes does not fit at 0 of 55 bytes",
    });
  });
});

describe("writeTcpReset", () => {
  const data = [1, 2, 3];
  const cases = [
    { name: "a SYN", flags: 0x02, seq: 0xffff_ffff, ack: 0, data: [], reset: "01bb9c40 00000000 00000000 50 14 0000" },
    {
      name: "a SYN with data (TCP Fast Open)",
      flags: 0x02,
      seq: 10,
      ack: 0,
      data,
      reset: "01bb9c40 00000000 0000000e 50 14 0000",
    },
    { name: "data without ACK", flags: 0x00, seq: 10, ack: 99, data, reset: "01bb9c40 00000000 0000000d 50 14 0000" },
    {
      name: "data with ACK",
      flags: 0x18,
      seq: 10,
      ack: 0x8000_0001,
      data,
      reset: "01bb9c40 80000001 00000000 50 04 0000",
    },
    { name: "FIN without ACK", flags: 0x01, seq: 10, ack: 99, data, reset: "01bb9c40 00000000 0000000e 50 14 0000" },
  ];
  for (const { name, flags, seq, ack, data: bytes, reset } of cases) {
    for (const version of [4, 6]) {
      test(`answers ${name} over IPv${version}`, () => {
        const payload = tcp({ flags, seq, ack, data: bytes, options: [1, 1, 1, 0] });
        const packet = version === 4 ? ipv4({ protocol: 6, payload }) : ipv6({ protocol: 6, payload });
        const view = new PacketView();
        assert.ok(view.parse(packet, 0, packet.length));
        const out = new Uint8Array(70);
        const length = writeTcpReset(view, packet, out, 2);
        const header = version === 4 ? 20 : 40;
        assert.equal(length, header + 20);
        assert.deepEqual(out.slice(2 + header, 2 + header + 16), hex(reset));
        assert.ok(isChecksumRight(out, 2, 6, 2 + header, 2 + length));
        const back = new PacketView();
        assert.ok(back.parse(out, 2, 2 + length));
        assert.deepEqual([back.src0, back.src3, back.dst0, back.dst3], [view.dst0, view.dst3, view.src0, view.src3]);
      });
    }
  }

  const none = [
    { name: "a reset", packet: ipv4({ protocol: 6, payload: tcp({ flags: 0x14 }) }) },
    { name: "UDP", packet: ipv4({ payload: udp(1, 2) }) },
    { name: "a first fragment", packet: ipv4({ protocol: 6, flagsAndOffset: 0x2000, payload: tcp({}) }) },
    { name: "a later fragment", packet: ipv4({ protocol: 6, flagsAndOffset: 100, payload: tcp({}) }) },
    { name: "a segment from multicast", packet: ipv4({ src: "224.0.0.1", protocol: 6, payload: tcp({}) }) },
  ];
  for (const { name, packet } of none) {
    test(`none for ${name}`, () => {
      const view = new PacketView();
      assert.ok(view.parse(packet, 0, packet.length));
      assert.equal(writeTcpReset(view, packet, new Uint8Array(100), 0), 0);
    });
  }
});
