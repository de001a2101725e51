import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Http3Error } from "./fault.ts";
import { fieldSectionSize, type Field, type Fields } from "./fields.ts";
import { decodeFieldSection } from "./qpack-decoder.ts";
import { encodeFieldSection } from "./qpack-encoder.ts";
import { DecoderInstructions, checkEncoderInstructions } from "./qpack-instructions.ts";
import { STATIC_TABLE } from "./qpack-static-table.ts";
import { hex, toHex } from "./test-world.ts";

const NO_LIMIT = 1 << 20;

/** What is encoded to these very bytes, and decoded from them. */
// oxfmt-ignore
const BOTH_WAYS: readonly [what: string, bytes: string, fields: Fields][] = [
  ["RFC 9204 appendix B.1", "0000 510b 2f69 6e64 6578 2e68 746d 6c", [[":path", "/index.html"]]],
  ["static entries", "0000 cf d1 d7 c1 d9", [[":method", "CONNECT"], [":method", "GET"], [":scheme", "https"], [":path", "/"], [":status", "200"]]],
  ["the last static entry, beyond the prefix", "0000 ff23", [["x-frame-options", "sameorigin"]]],
  ["a literal with a static name beyond the prefix", "0000 5f50 0161", [["user-agent", "a"]]],
  ["a literal name", "0000 22 6162 01 63", [["ab", "c"]]],
  ["a literal name beyond the prefix", "0000 27 00 61626364656667 00", [["abcdefg", ""]]],
  ["obs-text", "0000 21 61 02 c3a9", [["a", "Ã©"]]],
  ["nothing", "0000", []],
];

for (const [what, bytes, fields] of BOTH_WAYS) {
  test(`field section: ${what}`, () => {
    assert.equal(toHex(encodeFieldSection(fields)), toHex(hex(bytes)));
    assert.deepEqual(decodeFieldSection(hex(bytes), NO_LIMIT), fields);
  });
}

/** What a peer may send beside that. */
// oxfmt-ignore
const DECODED: readonly [what: string, bytes: string, fields: Fields][] = [
  ["a Huffman value", "0000 50 8c f1e3 c2e5 f23a 6ba0 ab90 f4ff", [[":authority", "www.example.com"]]],
  ["a Huffman name and value", "0000 2f 01 25a8 49e9 5ba9 7d7f 89 25a8 49e9 5bb8 e8b4 bf", [["custom-key", "custom-value"]]],
  ["never-indexed literals", "0000 71 01 2f  31 61 01 62", [[":path", "/"], ["a", "b"]]],
  ["a base of its own", "00 7f 80ffffffffffffff3f d1", [[":method", "GET"]]],
  ["an integer with zeros behind it", "0000 ff a3 80 80 00", [["x-frame-options", "sameorigin"]]],
  ["the same name twice, in order", "0000 21 61 01 31 21 61 01 32", [["a", "1"], ["a", "2"]]],
];

for (const [what, bytes, fields] of DECODED) {
  test(`field section decoded: ${what}`, () => assert.deepEqual(decodeFieldSection(hex(bytes), NO_LIMIT), fields));
}

const REFUSED: readonly [what: string, bytes: string, message: string][] = [
  ["no prefix", "", "the section ends inside a field line"],
  ["half a prefix", "00", "the section ends inside a field line"],
  ["RFC 9204 appendix B.2", "0381 10 11", "the section needs dynamic table entries"],
  ["a negative base", "0080", "the base is negative"],
  ["an indexed dynamic entry", "0000 80", "a field line refers to the dynamic table"],
  ["a dynamic name", "0000 40 00", "a name refers to the dynamic table"],
  ["a post-base index", "0000 10", "a post-base index refers to the dynamic table"],
  ["a post-base name", "0000 00 00", "a post-base index refers to the dynamic table"],
  ["static entry 99", "0000 ff24", "the static table has no entry 99"],
  ["a string beyond the section", "0000 51 05 2f", "a string is longer than the section"],
  ["a string of 2^61 bytes", "0000 51 7f 8180808080808080 20", "a string is longer than the section"],
  ["an integer of 63 bits", "0000 ff 80808080808080808001", "an integer is too large"],
  ["an integer that never ends", "0000 ff 8080808080808080808080", "an integer is too large"],
  ["a Huffman string with EOS", "0000 51 84 ffffffff", "a string is not valid Huffman code"],
  ["an index without its value", "0000 51", "the section ends inside a field line"],
];

for (const [what, bytes, message] of REFUSED) {
  test(`field section refused: ${what}`, () => {
    const expected = { scope: "connection", message: `QPACK_DECOMPRESSION_FAILED: ${message}` };
    assert.throws(() => decodeFieldSection(hex(bytes), NO_LIMIT), expected);
  });
}

test("the size limit counts as RFC 9114 section 4.2.2 does", () => {
  const fields: Fields = [
    ["a", "1"],
    [":path", "/"],
  ];
  const size = 1 + 1 + 32 + 5 + 1 + 32;
  assert.equal(fieldSectionSize(fields), size);
  assert.deepEqual(decodeFieldSection(encodeFieldSection(fields), size), fields);
  assert.equal(decodeFieldSection(encodeFieldSection(fields), size - 1), undefined);
});

const bytesText = (max: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.tuple(bytesText(12), bytesText(300)),
  fc.constantFrom(...STATIC_TABLE),
  fc.tuple(fc.constantFrom(...STATIC_TABLE.map(([name]) => name)), bytesText(20)),
);

test("fields come back as they were encoded; cut short they are fewer, or an error", () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 8 }), (fields) => {
      const bytes = encodeFieldSection(fields);
      assert.deepEqual(decodeFieldSection(bytes, NO_LIMIT), fields);
      for (let cut = 0; cut < bytes.length; cut++) {
        const shorter = decodedOrFailed(bytes.subarray(0, cut));
        if (shorter !== undefined) assert.deepEqual(shorter, fields.slice(0, shorter.length));
      }
    }),
    { numRuns: 50 },
  );
});

test("random bytes are fields or an Http3Error", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, prefix) => {
      decodedOrFailed(prefix ? Uint8Array.of(0, 0, ...bytes) : bytes);
    }),
    { numRuns: 2000 },
  );
});

function decodedOrFailed(bytes: Uint8Array): Fields | undefined {
  try {
    return decodeFieldSection(bytes, NO_LIMIT);
  } catch (thrown) {
    assert.ok(thrown instanceof Http3Error);
    return undefined;
  }
}

const ENCODER: readonly [what: string, bytes: string, refused: boolean][] = [
  ["capacity 0, as often as it likes", "20 20 20", false],
  ["capacity 220 (RFC 9204 appendix B.2)", "3fbd01", true],
  ["capacity 1", "21", true],
  ["insert with a static name", "c0 0f", true],
  ["insert with a literal name (appendix B.3)", "4a63", true],
  ["duplicate (appendix B.4)", "02", true],
];

for (const [what, bytes, refused] of ENCODER) {
  test(`encoder stream: ${what} is ${refused ? "refused" : "taken"}`, () => {
    const check = (): void => checkEncoderInstructions(hex(bytes), 0, hex(bytes).length);
    if (refused) assert.throws(check, { scope: "connection", http3Code: 0x201 });
    else check();
  });
}

const DECODER: readonly [what: string, bytes: string, refused: boolean][] = [
  ["stream cancellations", "48 40 7f00 7fffffffffffffff7f 41", false],
  ["a section acknowledgment (appendix B.2)", "84", true],
  ["an insert count increment (appendix B.3)", "01", true],
  ["an increment of 0", "00", true],
  ["a cancellation, then an acknowledgment", "7f8001 84", true],
  ["a stream id that never ends", "7f 80808080808080808080", true],
];

for (const [what, bytes, refused] of DECODER) {
  test(`decoder stream: ${what} is ${refused ? "refused" : "taken"}, whole and byte by byte`, () => {
    const whole = (): void => new DecoderInstructions().check(hex(bytes), 0, hex(bytes).length);
    const single = (): void => {
      const instructions = new DecoderInstructions();
      for (let at = 0; at < hex(bytes).length; at++) instructions.check(hex(bytes), at, at + 1);
    };
    for (const check of [whole, single]) {
      if (refused) assert.throws(check, { scope: "connection", http3Code: 0x202 });
      else check();
    }
  });
}
