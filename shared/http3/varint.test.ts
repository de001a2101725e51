import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "./test-world.ts";
import { readVarint, varintLength, varintSize, writeVarint } from "./varint.ts";

/** RFC 9000 appendix A.1, and the borders between the lengths. */
const VALUES: readonly [bytes: string, value: number][] = [
  ["00", 0],
  ["25", 37],
  ["3f", 63],
  ["4040", 64],
  ["7bbd", 15_293],
  ["7fff", 16_383],
  ["80004000", 16_384],
  ["9d7f3e7d", 494_878_333],
  ["bfffffff", 2 ** 30 - 1],
  ["c000000040000000", 2 ** 30],
  ["c01fffffffffffff", 2 ** 53 - 1],
];

for (const [bytes, value] of VALUES) {
  test(`${bytes} is ${value}`, () => {
    assert.equal(readVarint(hex(bytes), 0), value);
    assert.equal(varintSize(hex(bytes)[0]!), bytes.length / 2);
    assert.equal(varintLength(value), bytes.length / 2);
    const out = new Uint8Array(8);
    assert.equal(toHex(out.subarray(0, writeVarint(out, 0, value))), bytes);
  });
}

test("longer forms than needed are read (RFC 9000 section 16)", () => {
  assert.equal(readVarint(hex("4025"), 0), 37);
  assert.equal(readVarint(hex("c000000000000025"), 0), 37);
});

test("values beyond 2^53 come out as the nearest double", () => {
  assert.equal(readVarint(hex("c2197c5eff14e88c"), 0), Number(151_288_809_941_952_652n));
  assert.equal(readVarint(hex("ffffffffffffffff"), 0), 2 ** 62);
});

test("what is written is read, at any offset", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(8), (value, at) => {
      const out = new Uint8Array(24).fill(0xee);
      const end = writeVarint(out, at, value);
      assert.equal(end - at, varintLength(value));
      assert.equal(readVarint(out, at), value);
      assert.ok(out.subarray(0, at).every((byte) => byte === 0xee));
      assert.ok(out.subarray(end).every((byte) => byte === 0xee));
    }),
  );
});
