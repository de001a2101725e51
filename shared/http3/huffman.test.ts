import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HUFFMAN_CODES, decodeHuffman } from "./huffman.ts";
import { hex } from "./test-world.ts";

function decode(bytes: Uint8Array): string | undefined {
  return decodeHuffman(bytes, 0, bytes.length);
}

/** The code of `text`, padded with ones (RFC 7541 section 5.2). */
function encode(text: string): Uint8Array {
  let bits = "";
  for (const byte of Buffer.from(text, "latin1")) bits += binary(byte);
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, "1");
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
}

function binary(symbol: number): string {
  const { code, bits } = HUFFMAN_CODES[symbol]!;
  return code.toString(2).padStart(bits, "0");
}

/** RFC 7541 appendix B: one of each kind of length, the first and the last of the code. */
const CODES: readonly [symbol: number, code: string][] = [
  [0x30, "00000"], // 0
  [0x74, "01001"], // t
  [0x20, "010100"], // space
  [0x3a, "1011100"], // :
  [0x26, "11111000"], // &
  [0x21, "1111111000"], // !
  [0x00, "1111111111000"],
  [0x5c, "1111111111111110000"], // \
  [0x80, "11111111111111100110"],
  [0xff, "11111111111111111111101110"],
  [0x0a, "111111111111111111111111111100"], // line feed
  [0x16, "111111111111111111111111111110"],
  [256, "111111111111111111111111111111"], // EOS
];

for (const [symbol, code] of CODES) test(`the code of symbol ${symbol}`, () => assert.equal(binary(symbol), code));

test("the code is complete: every bit sequence is a prefix of symbols", () => {
  assert.equal(
    HUFFMAN_CODES.reduce((sum, { bits }) => sum + 2 ** -bits, 0),
    1,
  );
});

/** RFC 7541 appendices C.4 and C.6. */
// oxfmt-ignore
const EXAMPLES: readonly [bytes: string, text: string][] = [
  ["f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com"],
  ["a8eb 1064 9cbf", "no-cache"],
  ["25a8 49e9 5ba9 7d7f", "custom-key"],
  ["25a8 49e9 5bb8 e8b4 bf", "custom-value"],
  ["6402", "302"],
  ["aec3 771a 4b", "private"],
  ["d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ["9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3", "https://www.example.com"],
  ["640e ff", "307"],
  ["9bd9 ab", "gzip"],
  ["94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
  ["", ""],
];

for (const [bytes, text] of EXAMPLES)
  test(`decodes ${JSON.stringify(text)}`, () => assert.equal(decode(hex(bytes)), text));

const WRONG: readonly [what: string, bytes: string][] = [
  ["EOS", "ffffffff"],
  ["eight bits of padding", "a8eb 1064 9cbf ff"],
  ["padding with a zero", "a8eb 1064 9cb0"],
  ["a byte of padding alone", "ff"],
  ["EOS behind a symbol", "07ff ffff ff"],
];

for (const [what, bytes] of WRONG) test(`refuses ${what}`, () => assert.equal(decode(hex(bytes)), undefined));

const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));

test("what is encoded by the table is decoded", () => {
  fc.assert(fc.property(latin1, (text) => assert.equal(decode(encode(text)), text)));
});

test("random bytes decode to what encodes to them, or to nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = decode(bytes);
      if (text !== undefined) assert.deepEqual(encode(text), bytes);
    }),
  );
});
