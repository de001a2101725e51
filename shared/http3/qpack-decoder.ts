/**
 * QPACK field sections, decoded with a dynamic table of size zero (RFC 9204): static entries and literals,
 * plain or Huffman. A reference to the dynamic table is QPACK_DECOMPRESSION_FAILED, for the connection.
 *
 *   prefix (4.5.1) ▸ field lines (4.5.2 to 4.5.6) until the bytes end
 */
import { connectionFault } from "./fault.ts";
import { fieldSize, type Field, type Fields } from "./fields.ts";
import { decodeHuffman } from "./huffman.ts";
import { STATIC_TABLE } from "./qpack-static-table.ts";

/** Bits of the value in an integer's first byte, by representation (RFC 9204 section 4.5). */
const PREFIX = { requiredInsertCount: 8, base: 7, indexed: 6, nameReference: 4, literalName: 3, value: 7 } as const;

/**
 * Integers of up to 62 bits are to be read (RFC 9204 section 4.1.1): a prefix and 9 bytes of 7 bits. Above
 * 2^53 they are the nearest double, which is enough: they are lengths and indices, and then out of range.
 */
const MAX_INTEGER = 2 ** 62;
const MAX_INTEGER_BYTES = 10;

/**
 * Decodes a whole field section. Undefined when it is larger than `maxSize` bytes (RFC 9114 section 4.2.2).
 * Throws QPACK_DECOMPRESSION_FAILED.
 */
export function decodeFieldSection(section: Uint8Array, maxSize: number): Fields | undefined {
  const reader = new SectionReader(section);
  reader.prefix();
  const fields: Field[] = [];
  let size = 0;
  while (!reader.done) {
    const field = reader.line();
    size += fieldSize(field[0], field[1]);
    if (size > maxSize) return undefined;
    fields.push(field);
  }
  return fields;
}

class SectionReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Required Insert Count and Base: nothing was inserted, so the count is 0 and the base not below it. */
  prefix(): void {
    if (this.#integer(PREFIX.requiredInsertCount) !== 0) throw failed("the section needs dynamic table entries");
    const negative = (this.#peek() & 0x80) !== 0;
    this.#integer(PREFIX.base);
    if (negative) throw failed("the base is negative");
  }

  line(): Field {
    const first = this.#peek();
    // 1Txxxxxx: indexed field line (4.5.2).
    if ((first & 0x80) !== 0) {
      if ((first & 0x40) === 0) throw failed("a field line refers to the dynamic table");
      return this.#staticEntry(PREFIX.indexed);
    }
    // 01NTxxxx: literal with name reference (4.5.4).
    if ((first & 0x40) !== 0) {
      if ((first & 0x10) === 0) throw failed("a name refers to the dynamic table");
      const [name] = this.#staticEntry(PREFIX.nameReference);
      return [name, this.#string(PREFIX.value)];
    }
    // 001NHxxx: literal with literal name (4.5.6).
    if ((first & 0x20) !== 0) return [this.#string(PREFIX.literalName), this.#string(PREFIX.value)];
    // 0001xxxx and 0000Nxxx: post-base indices (4.5.3, 4.5.5).
    throw failed("a post-base index refers to the dynamic table");
  }

  #staticEntry(prefixBits: number): Field {
    const index = this.#integer(prefixBits);
    const entry = STATIC_TABLE[index];
    if (entry === undefined) throw failed(`the static table has no entry ${index}`);
    return entry;
  }

  /** A string literal (RFC 9204 section 4.1.2): the bit above the length says whether it is Huffman-coded. */
  #string(prefixBits: number): string {
    const huffman = (this.#peek() & (1 << prefixBits)) !== 0;
    const length = this.#integer(prefixBits);
    const from = this.#at;
    if (length > this.#bytes.length - from) throw failed("a string is longer than the section");
    this.#at += length;
    if (!huffman) return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + from, length).toString("latin1");
    const text = decodeHuffman(this.#bytes, from, this.#at);
    if (text === undefined) throw failed("a string is not valid Huffman code");
    return text;
  }

  /** A prefixed integer (RFC 7541 section 5.1). */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#peek() & mask;
    this.#at++;
    if (value < mask) return value;
    for (let count = 1, scale = 1; count < MAX_INTEGER_BYTES; count++, scale *= 128) {
      const byte = this.#peek();
      this.#at++;
      value += (byte & 0x7f) * scale;
      if (value > MAX_INTEGER) break;
      if ((byte & 0x80) === 0) return value;
    }
    throw failed("an integer is too large");
  }

  #peek(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw failed("the section ends inside a field line");
    return byte;
  }
}

function failed(what: string): Error {
  return connectionFault("QPACK_DECOMPRESSION_FAILED", what);
}
