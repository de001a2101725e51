/**
 * The Huffman code of HPACK and QPACK strings (RFC 7541 section 5.2 and appendix B), decoding only: what we
 * send is short, and a literal is always allowed.
 *
 * The code is canonical (of one length, codes rise with the symbol), so the lengths are the whole table.
 */

/** Bits of the code of each byte, and of EOS (256). */
// oxfmt-ignore
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20 " !"#$%&'()*+,-./"
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30 "0123456789:;<=>?"
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40 "@ABCDEFGHIJKLMNO"
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50 "PQRSTUVWXYZ[\]^_"
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60 "`abcdefghijklmno"
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70 "pqrstuvwxyz{|}~"
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
  30, // EOS
];

const EOS = 256;
const MAX_CODE_BITS = 30;
/** RFC 7541 section 5.2: longer padding is an error. */
const MAX_PADDING_BITS = 7;

/** The code of a byte: its bits, right-aligned, and how many they are. */
export interface HuffmanCode {
  readonly code: number;
  readonly bits: number;
}

/** The codes of the 256 bytes and of EOS, made from their lengths. */
export const HUFFMAN_CODES: readonly HuffmanCode[] = canonicalCodes();

/**
 * The tree as one array: node n has its children at 2n (bit 0) and 2n + 1. A positive entry is the next
 * node, a negative one is a leaf with symbol -1 - entry.
 */
const TREE = buildTree();

/** Decodes `bytes[from, to)`. Undefined when it contains EOS or is padded with anything but up to 7 ones. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number): string | undefined {
  const symbols: number[] = [];
  let node = 0;
  let pending = 0;
  let onlyOnes = true;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    for (let shift = 7; shift >= 0; shift--) {
      const bit = (byte >> shift) & 1;
      const next = TREE[2 * node + bit]!;
      if (next > 0) {
        node = next;
        pending++;
        onlyOnes &&= bit === 1;
        continue;
      }
      const symbol = -1 - next;
      if (symbol === EOS) return undefined;
      symbols.push(symbol);
      node = 0;
      pending = 0;
      onlyOnes = true;
    }
  }
  if (pending > MAX_PADDING_BITS || !onlyOnes) return undefined;
  return Buffer.from(symbols).toString("latin1");
}

function canonicalCodes(): HuffmanCode[] {
  const codes: HuffmanCode[] = Array.from(CODE_BITS, (bits) => ({ code: 0, bits }));
  let code = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (CODE_BITS[symbol] === bits) codes[symbol] = { code: code++, bits };
    }
    code *= 2;
  }
  return codes;
}

function buildTree(): Int16Array {
  const tree = new Int16Array(2 * EOS);
  let nodes = 1;
  for (const [symbol, { code, bits }] of HUFFMAN_CODES.entries()) {
    let node = 0;
    for (let shift = bits - 1; shift > 0; shift--) {
      const at = 2 * node + ((code >> shift) & 1);
      if (tree[at] === 0) tree[at] = nodes++;
      node = tree[at]!;
    }
    tree[2 * node + (code & 1)] = -1 - symbol;
  }
  return tree;
}
