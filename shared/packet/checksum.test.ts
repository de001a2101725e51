import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  checksumOf,
  completeChecksum,
  isChecksumRight,
  putIpv4Checksum,
  sumBytes,
  sumPseudoHeader,
} from "./checksum.ts";
import { hex, ipv4, ipv6, naiveChecksum, tcp, udp, withChecksum } from "./fixture.ts";

describe("checksum", () => {
  test("RFC 1071 section 3", () => {
    assert.equal(sumBytes(hex("0001 f203 f4f5 f6f7"), 0, 8, 0), 0xddf2);
    assert.equal(checksumOf(0xddf2), 0x220d);
  });

  test("any range, in any parts of even length, against the letter of the RFC", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(9), fc.nat(100), (bytes, front, cut) => {
        const slab = new Uint8Array(front + bytes.length + 9).fill(0xff);
        slab.set(bytes, front);
        const middle = Math.min(front + 2 * cut, front + bytes.length - (bytes.length % 2));
        const sum = sumBytes(slab, middle, front + bytes.length, sumBytes(slab, front, middle, 0));
        assert.equal(checksumOf(sum), naiveChecksum(bytes));
      }),
    );
  });

  test("64 KB of the largest words do not overflow the sum", () => {
    for (const size of [65_535, 65_534, 32_768, 32_769, 32_767]) {
      const bytes = new Uint8Array(size).fill(0xff);
      assert.equal(checksumOf(sumBytes(bytes, 0, size, 0xffff)), naiveChecksum(bytes));
    }
  });

  test("the IPv4 header checksum", () => {
    const packet = ipv4({ options: [1, 1, 1, 0], payload: udp(1, 2) });
    const blank = packet.with(10, 0xaa).with(11, 0x55);
    putIpv4Checksum(blank, 0, 24);
    assert.deepEqual(blank, packet);
  });

  const cases = [
    {
      name: "TCP over IPv4",
      protocol: 6,
      header: 20,
      field: 16,
      packet: ipv4({ protocol: 6, payload: tcp({ data: [1, 2, 3] }) }),
    },
    { name: "UDP over IPv4", protocol: 17, header: 20, field: 6, packet: ipv4({ payload: udp(1, 2, [9]) }) },
    {
      name: "TCP over IPv6",
      protocol: 6,
      header: 40,
      field: 16,
      packet: ipv6({ protocol: 6, payload: tcp({ data: [1, 2, 3] }) }),
    },
    { name: "UDP over IPv6", protocol: 17, header: 40, field: 6, packet: ipv6({ payload: udp(1, 2, [9]) }) },
  ];
  for (const { name, protocol, header, field, packet } of cases) {
    test(`a partial checksum of ${name} is completed`, () => {
      const right = withChecksum(packet, header, protocol, field);
      const partial = packet.slice();
      const pseudo = sumPseudoHeader(packet, 0, protocol, packet.length - header);
      partial.set([pseudo >>> 8, pseudo & 255], header + field);
      assert.equal(isChecksumRight(partial, 0, protocol, header, packet.length), false);
      completeChecksum(partial, header, field, packet.length);
      assert.deepEqual(partial, right);
      assert.equal(isChecksumRight(partial, 0, protocol, header, packet.length), true);
    });
  }

  test("a UDP checksum that comes out as 0 is written as 0xffff", () => {
    // The data is chosen so that pseudo-header, header and data sum up to 0xffff.
    const packet = ipv4({ src: "0.0.0.0", dst: "0.0.0.0", payload: udp(0, 0, [0, 0]) });
    const sum = sumBytes(packet, 20, 30, sumPseudoHeader(packet, 0, 17, 10));
    packet.set([(0xffff - sum) >>> 8, (0xffff - sum) & 255], 28);
    const pseudo = sumPseudoHeader(packet, 0, 17, 10);
    packet.set([pseudo >>> 8, pseudo & 255], 26);
    completeChecksum(packet, 20, 6, 30);
    assert.deepEqual(packet.subarray(26, 28), hex("ffff"));
  });
});
