import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { certificateParts, der, derInteger, DerReader, derSequence, derTime, TAG, timeOf } from "./der.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("integers and lengths are in their shortest form", () => {
  const integers: readonly [digits: string, encoded: string][] = [
    ["0", "020100"],
    ["7f", "02017f"],
    ["80", "02020080"],
    ["FF", "020200ff"],
    ["927c0", "02030927c0"],
  ];
  for (const [digits, encoded] of integers) assert.equal(hex(derInteger(digits)), encoded);
  assert.equal(hex(derSequence(derInteger("1"), derInteger("2"))), "3006020101020102");
  const lengths: readonly [length: number, header: string][] = [
    [0, "0400"],
    [0x7f, "047f"],
    [0x80, "048180"],
    [0xff, "0481ff"],
    [0x100, "04820100"],
    [0x10000, "0483010000"],
    [0x1000000, "048401000000"],
  ];
  for (const [length, header] of lengths) {
    assert.equal(hex(der(TAG.octetString, new Uint8Array(length)).subarray(0, header.length / 2)), header);
  }
});

test("times change their form in 2050", () => {
  assert.equal(derTime(new Date("2049-12-31T23:59:59.999Z")).toString("latin1"), "\x17\x0d491231235959Z");
  assert.equal(derTime(new Date("2050-01-01T00:00:00Z")).toString("latin1"), "\x18\x0f20500101000000Z");
});

test("times are read back, and what is no time is NaN", () => {
  for (const text of ["1950-01-01T00:00:00Z", "2026-11-21T04:05:06Z", "2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z"]) {
    const encoded = derTime(new Date(text));
    assert.equal(timeOf(encoded[0] ?? 0, encoded.subarray(2)), Date.parse(text), text);
  }
  for (const text of ["", "2611210405", "261121040506", "269921040506Z", "2611210405060Z"]) {
    assert.ok(Number.isNaN(timeOf(TAG.utcTime, Buffer.from(text))), text);
  }
});

test("what is written is read", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 })), (contents) => {
      const reader = new DerReader(derSequence(...contents.map((content) => der(TAG.octetString, content)))).enter(
        TAG.sequence,
      );
      const read = [];
      while (!reader.atEnd) read.push(reader.content(TAG.octetString));
      assert.deepEqual(read.map(hex), contents.map(hex));
    }),
  );
});

test("any bytes are walked to their end or refused, nothing is read beyond them", () => {
  const walk = (reader: DerReader, depth: number): void => {
    while (!reader.atEnd) {
      if (reader.nextTag === TAG.sequence && depth < 8) walk(reader.enter(TAG.sequence), depth + 1);
      else reader.skip();
    }
  };
  const attempt = (bytes: Uint8Array): void => {
    for (const read of [() => walk(new DerReader(bytes), 0), () => certificateParts(bytes)]) {
      try {
        read();
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }
  };
  const tagged = fc.array(fc.constantFrom(0x30, 0x02, 0x04, 0x80, 0x81, 0x82, 0x84, 0x85, 0xff, 0, 1, 2), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        tagged.map((bytes) => Uint8Array.from(bytes)),
      ),
      attempt,
    ),
    { numRuns: 5000 },
  );
});
