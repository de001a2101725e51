import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { extension, icmp, ipv4, ipv6, tcp, udp } from "./fixture.ts";
import { QuotedPacket } from "./quoted.ts";
import { PacketView } from "./view.ts";

/** What an ICMP error that quotes the first `length` bytes of `packet` gives. */
function quoted(packet: Uint8Array, length = packet.length): QuotedPacket | undefined {
  const quote = packet.subarray(0, length);
  const version = packet[0]! >> 4;
  const error =
    version === 4
      ? ipv4({ protocol: 1, payload: icmp(3, 1, 0, quote) })
      : ipv6({ protocol: 58, payload: icmp(1, 1, 0, quote) });
  const view = new PacketView();
  assert.ok(view.parse(error, 0, error.length));
  const result = new QuotedPacket();
  return result.parse(error, view) ? result : undefined;
}

describe("QuotedPacket", () => {
  const rows: { name: string; packet: Uint8Array; header: number; expect: Partial<QuotedPacket> }[] = [
    {
      name: "UDP over IPv4",
      packet: ipv4({ src: "10.0.0.9", payload: udp(5000, 53, [1, 2, 3]) }),
      header: 20,
      expect: {
        version: 4,
        protocol: 17,
        src3: 0x0a00_0009,
        dst3: 0x0a00_0002,
        srcPort: 5000,
        dstPort: 53,
        icmpType: -1,
      },
    },
    {
      name: "TCP with IPv4 options",
      packet: ipv4({ protocol: 6, options: [1, 1, 1, 0], payload: tcp({}) }),
      header: 24,
      expect: { protocol: 6, srcPort: 40_000, dstPort: 443 },
    },
    {
      name: "ICMP echo",
      packet: ipv4({ protocol: 1, payload: icmp(8, 0, 0x1234_0001) }),
      header: 20,
      expect: { protocol: 1, icmpType: 8, icmpId: 0x1234, srcPort: 0 },
    },
    {
      name: "UDP over IPv6",
      packet: ipv6({ payload: udp(5000, 53) }),
      header: 40,
      expect: { version: 6, src0: 0xfd00_0000, dst3: 2, srcPort: 5000, dstPort: 53 },
    },
    {
      name: "ICMPv6 echo",
      packet: ipv6({ protocol: 58, payload: icmp(128, 0, 0x1234_0001) }),
      header: 40,
      expect: { icmpType: 128, icmpId: 0x1234 },
    },
    {
      name: "a first fragment",
      packet: ipv4({ flagsAndOffset: 0x2000, payload: udp(1, 2) }),
      header: 20,
      expect: { srcPort: 1, dstPort: 2 },
    },
  ];
  for (const { name, packet, header, expect } of rows) {
    test(`${name}, whole and cut off behind 8 bytes of transport`, () => {
      for (const length of [packet.length, header + 8]) {
        const found = quoted(packet, length);
        assert.ok(found);
        assert.deepEqual(Object.fromEntries(Object.keys(expect).map((key) => [key, Reflect.get(found, key)])), expect);
      }
      for (let length = 0; length < header + 8; length++) assert.equal(quoted(packet, length), undefined);
    });
  }

  const none = [
    { name: "a later fragment", packet: ipv4({ flagsAndOffset: 5, payload: udp(1, 2) }) },
    { name: "an IPv4 header of 16 bytes", packet: ipv4({ payload: udp(1, 2) }).with(0, 0x44) },
    { name: "extension headers", packet: ipv6({ protocol: 60, payload: [...extension(17), ...udp(1, 2)] }) },
    { name: "a protocol without ports", packet: ipv4({ protocol: 47, payload: udp(1, 2) }) },
  ];
  for (const { name, packet } of none)
    test(`nothing to be known of ${name}`, () => assert.equal(quoted(packet), undefined));

  test("nothing to be known of a packet of the other family", () => {
    const error = ipv4({ protocol: 1, payload: icmp(3, 1, 0, ipv6({ payload: udp(1, 2) })) });
    const view = new PacketView();
    assert.ok(view.parse(error, 0, error.length));
    assert.equal(new QuotedPacket().parse(error, view), false);
  });

  test("random quotes are read or not, never outside the packet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (quote, v4) => {
        const error = v4
          ? ipv4({ protocol: 1, payload: icmp(3, 1, 0, quote) })
          : ipv6({ protocol: 58, payload: icmp(1, 1, 0, quote) });
        const results = [0, 255].map((fill) => {
          const slab = new Uint8Array(error.length + 60).fill(fill);
          slab.set(error);
          const view = new PacketView();
          assert.ok(view.parse(slab, 0, error.length));
          const packet = new QuotedPacket();
          return packet.parse(slab, view) ? { ...packet } : undefined;
        });
        assert.deepEqual(results[0], results[1]);
      }),
    );
  });
});
