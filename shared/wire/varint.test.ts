import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeVarint, encodeVarintSized, MAX_VARINT, VarintReader, varintSize, varintSizeFrom } from "./varint.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

describe("varint", () => {
  // RFC 9000 appendix A.1, and the edges of each size.
  const cases = [
    { bytes: "25", value: 37 },
    { bytes: "7bbd", value: 15_293 },
    { bytes: "9d7f3e7d", value: 494_878_333 },
    { bytes: "c2197c5eff14e88c", value: Number(151_288_809_941_952_652n) },
    { bytes: "4025", value: 37 },
    { bytes: "00", value: 0 },
    { bytes: "3f", value: 63 },
    { bytes: "4040", value: 64 },
    { bytes: "7fff", value: 16_383 },
    { bytes: "80004000", value: 16_384 },
    { bytes: "bfffffff", value: 1_073_741_823 },
    { bytes: "c000000040000000", value: 1_073_741_824 },
    { bytes: "c01fffffffffffff", value: MAX_VARINT },
  ];
  for (const { bytes, value } of cases) {
    test(`${bytes} is ${value}`, () => {
      const reader = new VarintReader();
      const input = hex(bytes);
      assert.equal(reader.read(input, 0, input.length), true);
      assert.equal(reader.value, value);
      assert.equal(reader.next, input.length);
      assert.equal(varintSizeFrom(input[0] ?? 0), input.length);
    });
  }

  test("the largest value of the wire is read as a number far above every limit", () => {
    const reader = new VarintReader();
    assert.equal(reader.read(hex("ffffffffffffffff"), 0, 8), true);
    assert.equal(reader.value, 2 ** 62);
  });

  test("round trip at any offset, in the shortest form and in every longer one; every truncation is incomplete", () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.maxSafeNat());
    fc.assert(
      fc.property(value, fc.nat(5), (number, at) => {
        const reader = new VarintReader();
        const out = new Uint8Array(16).fill(0xee);
        for (const size of [varintSize(number), 1, 2, 4, 8]) {
          if (size < varintSize(number)) continue;
          encodeVarintSized(number, size, out, at);
          assert.equal(reader.read(out, at, at + size), true);
          assert.deepEqual([reader.value, reader.next], [number, at + size]);
          for (let end = at; end < at + size; end++) assert.equal(reader.read(out, at, end), false);
        }
        assert.equal(encodeVarint(number, out, at), varintSize(number));
      }),
    );
  });

  test("an end behind the bytes does not read behind the bytes", () => {
    assert.equal(new VarintReader().read(hex("c000"), 0, 8), false);
  });

  const wrong = [
    { name: "negative", run: () => varintSize(-1), message: /^-1 cannot be a QUIC variable-length integer/ },
    { name: "fraction", run: () => varintSize(0.5), message: /^0\.5 cannot be/ },
    { name: "too large", run: () => varintSize(2 ** 53), message: /expected an integer from 0 to 9007199254740991$/ },
    {
      name: "no room",
      run: () => encodeVarint(64, new Uint8Array(1), 0),
      message: /2 bytes does not fit at 0 of 1 bytes$/,
    },
    {
      name: "size too small",
      run: () => encodeVarintSized(64, 1, new Uint8Array(8), 0),
      message: /^64 does not fit in a varint of 1 bytes$/,
    },
    {
      name: "no such size",
      run: () => encodeVarintSized(1, 3, new Uint8Array(8), 0),
      message: /^a varint has 1, 2, 4 or 8 bytes, not 3$/,
    },
  ];
  for (const { name, run, message } of wrong) {
    test(`${name} is a RangeError`, () =>
      assert.throws(run, (error) => error instanceof RangeError && message.test(error.message)));
  }
});
