import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IPv4, IPv6, Validator } from "ip-num";
import { formatAddress, formatPrefix, maskPrefix, parseAddress, parsePrefix, type Prefix } from "./address.ts";
import { Complaint } from "./complaint.ts";

const READ: readonly (readonly [text: string, written: string])[] = [
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["10.0.0.0/8", "10.0.0.0/8"],
  ["8.8.8.8", "8.8.8.8"],
  ["8.8.8.8/32", "8.8.8.8"],
  ["255.255.255.255", "255.255.255.255"],
  ["128.0.0.0/1", "128.0.0.0/1"],
  ["::/0", "::/0"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8::/32", "2001:db8::/32"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:0db8:0000:0001:0001:0001:0001:0001", "2001:db8:0:1:1:1:1:1"],
  ["2001:db8::0:1", "2001:db8::1"],
  ["0:0:0:0:0:0:0:0/128", "::"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["fe80::/10", "fe80::/10"],
];

for (const [text, written] of READ) {
  test(`${text} is read and written as ${written}`, () => {
    const prefix = parsePrefix(text);
    assert.ok(!(prefix instanceof Complaint));
    assert.equal(formatPrefix(prefix), written);
  });
}

const REFUSED = [
  "",
  " 1.2.3.4",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.",
  ".1.2.3",
  "1..2.3",
  "1.2.3.256",
  "1.2.3.04",
  "0x1.2.3.4",
  "1.2.3.4/",
  "1.2.3.4/33",
  "1.2.3.4/08",
  "1.2.3.4/8/8",
  "1.2.3.4/8",
  "10.0.0.0/+8",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "12345::",
  "::1.2.3",
  "1.2.3.4::",
  "::1.2.3.4:5",
  "::1%lo",
  "[::1]",
  "::g",
  "::1/129",
  "::1/64",
  "::ffff:1.2.3.4/128",
];

for (const text of REFUSED) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.ok(parsePrefix(text) instanceof Complaint);
  });
}

const word = fc.oneof(fc.constantFrom(0, 1, 0xffff, 0x10000, 0xffffffff), fc.integer({ min: 0, max: 0xffffffff }));

test("IPv4 addresses are those of ip-num", () => {
  fc.assert(
    fc.property(word, (w3) => {
      const text = formatAddress(4, 0, 0, 0, w3);
      assert.equal(Number(new IPv4(text).getValue()), w3);
      assert.deepEqual(parseAddress(text), { version: 4, w0: 0, w1: 0, w2: 0, w3, length: 32 });
    }),
  );
});

test("IPv6 addresses are those of ip-num", () => {
  fc.assert(
    fc.property(word, word, word, word, (w0, w1, w2, w3) => {
      const text = formatAddress(6, w0, w1, w2, w3);
      const value = [w0, w1, w2, w3].reduce((sum, part) => (sum << 32n) | BigInt(part), 0n);
      assert.equal(new IPv6(text).getValue(), value);
      assert.deepEqual(parseAddress(text), { version: 6, w0, w1, w2, w3, length: 128 });
      assert.deepEqual(parseAddress(new IPv6(value).toString()), { version: 6, w0, w1, w2, w3, length: 128 });
    }),
  );
});

test("what ip-num refuses as an IPv4 address is refused", () => {
  const piece = fc.constantFrom("0", "1", "9", "25", "255", "256", "00", "1e1", "-1", "a", " ", "");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const text = pieces.join(".");
      const [known] = Validator.isValidIPv4String(text);
      // ip-num reads leading zeros, which we refuse.
      if (!known) assert.ok(parseAddress(text) instanceof Complaint);
      else if (!/(^|\.)0\d/.test(text)) assert.ok(!(parseAddress(text) instanceof Complaint));
    }),
  );
});

const prefix = fc
  .tuple(fc.constantFrom(4, 6), word, word, word, word, fc.integer({ min: 0, max: 128 }))
  .map(([version, w0, w1, w2, w3, length]): Prefix =>
    version === 4
      ? maskPrefix({ version, w0: 0, w1: 0, w2: 0, w3, length: length % 33 })
      : maskPrefix({ version, w0, w1, w2, w3, length }),
  );

test("what is written is read as the same prefix", () => {
  fc.assert(
    fc.property(prefix, (prefix) => {
      // Mapped prefixes are refused on purpose.
      if (prefix.version === 6 && prefix.w0 === 0 && prefix.w1 === 0 && prefix.w2 === 0xffff) return;
      assert.deepEqual(parsePrefix(formatPrefix(prefix)), prefix);
    }),
  );
});

test("any text is a prefix or a complaint", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789abf.:/") }));
  fc.assert(
    fc.property(text, (text) => {
      const result = parsePrefix(text);
      if (!(result instanceof Complaint)) assert.deepEqual(parsePrefix(formatPrefix(result)), result);
    }),
    { numRuns: 2_000 },
  );
});
