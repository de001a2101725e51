import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { rangePrefixes } from "./address-range.ts";
import {
  addressBits,
  compareWords,
  formatAddress,
  formatPrefix,
  lastWords,
  maskWords,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
} from "./address.ts";
import type { AddressWords, IpVersion, Prefix } from "./address.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const sparse = fc.oneof(u32, fc.constantFrom(0, 1, 0xffff, 0xffff_0000, 0xffff_ffff));
const address: fc.Arbitrary<{ version: IpVersion; words: AddressWords }> = fc.oneof(
  u32.map((word) => ({ version: 4 as const, words: [0, 0, 0, word] as const })),
  fc.tuple(sparse, sparse, sparse, sparse).map((words) => ({ version: 6 as const, words })),
);
const prefix: fc.Arbitrary<Prefix> = address.chain(({ version, words }) =>
  fc.nat(addressBits(version)).map((length) => ({ version, words: maskWords(version, words, length), length })),
);

describe("text", () => {
  const cases: { text: string; version: IpVersion; words: AddressWords }[] = [
    { text: "10.1.2.3", version: 4, words: [0, 0, 0, 0x0a01_0203] },
    { text: "255.255.255.255", version: 4, words: [0, 0, 0, 0xffff_ffff] },
    { text: "::", version: 6, words: [0, 0, 0, 0] },
    { text: "::1", version: 6, words: [0, 0, 0, 1] },
    { text: "2001:db8::8:800:200c:417a", version: 6, words: [0x2001_0db8, 0, 0x0008_0800, 0x200c_417a] },
    // RFC 5952: the first of two equal runs, no run of one group, lower case
    { text: "2001:db8::1:0:0:1", version: 6, words: [0x2001_0db8, 0, 0x0001_0000, 0x0000_0001] },
    { text: "2001:db8:0:1:1:1:1:1", version: 6, words: [0x2001_0db8, 0x0000_0001, 0x0001_0001, 0x0001_0001] },
    { text: "1:0:0:2::3", version: 6, words: [0x0001_0000, 0x0000_0002, 0, 3] },
    { text: "fe80::", version: 6, words: [0xfe80_0000, 0, 0, 0] },
  ];
  for (const { text, version, words } of cases) {
    test(text, () => {
      assert.deepEqual(parseAddress(text), { version, words });
      assert.equal(formatAddress(version, ...words), text);
    });
  }

  test("an embedded IPv4 address is read", () => {
    assert.deepEqual(parseAddress("64:ff9b::8.8.8.8").words, [0x0064_ff9b, 0, 0, 0x0808_0808]);
  });

  const expected = "expected an IPv4 or IPv6 address such as 10.1.2.3 or 2001:db8::1";
  const wrong = [
    { text: "", message: `"" is no IP address (An IP4 number cannot have less or greater than 4 octets): ${expected}` },
    {
      text: "10.0.0",
      message: `"10.0.0" is no IP address (An IP4 number cannot have less or greater than 4 octets): ${expected}`,
    },
    {
      text: "10.0.0.01",
      message: `"10.0.0.01" is no IP address (Value given contains an invalid Octet; Value is less than zero or is greater than 8bit): ${expected}`,
    },
    {
      text: "fe80::1%eth0",
      message: `"fe80::1%eth0" is no IP address (a zone id has no meaning in a tunnel): ${expected}`,
    },
    {
      text: "1::2::3/64",
      message: `"1::2::3" is no IP address (Error: Given IPv6 is not confirm to a valid IPv6 address): ${expected}`,
    },
    { text: "10.0.0.0/33", message: '"10.0.0.0/33" has no valid prefix length: expected 0 to 32 behind the slash' },
    { text: "10.0.0.0/08", message: '"10.0.0.0/08" has no valid prefix length: expected 0 to 32 behind the slash' },
    { text: "::/", message: '"::/" has no valid prefix length: expected 0 to 128 behind the slash' },
    { text: "::/129", message: '"::/129" has no valid prefix length: expected 0 to 128 behind the slash' },
    { text: "10.1.2.3/8", message: '"10.1.2.3/8" has bits set behind its prefix length: did you mean 10.0.0.0/8?' },
    {
      text: "2001:db8::1/64",
      message: '"2001:db8::1/64" has bits set behind its prefix length: did you mean 2001:db8::/64?',
    },
  ];
  for (const { text, message } of wrong) {
    test(`"${text}" is refused`, () => {
      assert.throws(
        () => parsePrefix(text),
        (error) => {
          assert.ok(error instanceof ZgateError);
          assert.equal(error.code, "ZG_CONFIG_INVALID");
          assert.equal(error.message, message);
          return true;
        },
      );
    });
  }

  test("round trip; the text of IPv6 is canonical", () => {
    fc.assert(
      fc.property(address, ({ version, words }) => {
        const text = formatAddress(version, ...words);
        assert.deepEqual(parseAddress(text), { version, words });
        if (version === 6) {
          // The URL standard serialises as RFC 5952 does.
          assert.equal(new URL(`http://[${text}]/`).hostname, `[${text}]`);
        }
      }),
    );
    fc.assert(fc.property(prefix, (value) => assert.deepEqual(parsePrefix(formatPrefix(value)), value)));
    assert.deepEqual(parsePrefix("10.1.2.3"), { version: 4, words: [0, 0, 0, 0x0a01_0203], length: 32 });
  });

  test("random text is an address or a ZgateError", () => {
    const text = fc.string({ unit: fc.constantFrom(..."0123456789abcdefx.:/% -"), maxLength: 24 });
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (value) => {
        try {
          parsePrefix(value);
        } catch (error) {
          assert.ok(error instanceof ZgateError);
        }
      }),
    );
  });
});

describe("prefixes", () => {
  test("contains what the bits say", () => {
    fc.assert(
      fc.property(prefix, address, fc.nat(128), ({ version, words, length }, other, flip) => {
        const contains = (words4: AddressWords): boolean =>
          prefixContains({ version, words, length }, version, ...words4);
        assert.ok(contains(words));
        assert.ok(contains(lastWords({ version, words, length })));
        const same = other.version === version && compareWords(maskWords(version, other.words, length), words) === 0;
        assert.equal(prefixContains({ version, words, length }, other.version, ...other.words), same);
        const bit = 128 - addressBits(version) + (flip % addressBits(version));
        const flipped = words.map((word, i) => (i === bit >>> 5 ? (word ^ (1 << (31 - (bit & 31)))) >>> 0 : word));
        const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = flipped;
        assert.equal(contains([w0, w1, w2, w3]), flip % addressBits(version) >= length);
      }),
    );
  });

  const overlaps = [
    { a: "10.0.0.0/8", b: "10.1.0.0/16", overlap: true },
    { a: "10.1.0.0/16", b: "10.0.0.0/8", overlap: true },
    { a: "10.1.0.0/16", b: "10.2.0.0/16", overlap: false },
    { a: "0.0.0.0/0", b: "::/0", overlap: false },
    { a: "2001:db8::/32", b: "2001:db8:1::1", overlap: true },
  ];
  for (const { a, b, overlap } of overlaps) {
    test(`${a} and ${b}`, () => assert.equal(prefixesOverlap(parsePrefix(a), parsePrefix(b)), overlap));
  }
});

describe("rangePrefixes", () => {
  const cases = [
    { start: "10.0.0.0", end: "10.0.0.255", prefixes: ["10.0.0.0/24"] },
    { start: "10.0.0.1", end: "10.0.0.6", prefixes: ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"] },
    { start: "0.0.0.0", end: "255.255.255.255", prefixes: ["0.0.0.0/0"] },
    { start: "::", end: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", prefixes: ["::/0"] },
    { start: "255.255.255.255", end: "255.255.255.255", prefixes: ["255.255.255.255/32"] },
  ];
  for (const { start, end, prefixes } of cases) {
    test(`${start} to ${end}`, () => {
      const range = {
        version: parseAddress(start).version,
        start: parseAddress(start).words,
        end: parseAddress(end).words,
      };
      assert.deepEqual(rangePrefixes(range).map(formatPrefix), prefixes);
    });
  }

  test("the prefixes follow each other without a gap, and are few", () => {
    fc.assert(
      fc.property(address, u32, (first, distance) => {
        const end = Math.min(first.words[3] + distance, 0xffff_ffff);
        const range = {
          version: first.version,
          start: first.words,
          end: [first.words[0], first.words[1], first.words[2], end] as const,
        };
        const prefixes = rangePrefixes(range);
        assert.ok(prefixes.length <= 62);
        let next: number = first.words[3];
        for (const part of prefixes) {
          assert.deepEqual(part.words, [first.words[0], first.words[1], first.words[2], next]);
          next = lastWords(part)[3] + 1;
        }
        assert.equal(next, end + 1);
      }),
    );
  });

  test("a range that starts behind its end is a RangeError", () => {
    assert.throws(() => rangePrefixes({ version: 4, start: [0, 0, 0, 2], end: [0, 0, 0, 1] }), RangeError);
  });
});
