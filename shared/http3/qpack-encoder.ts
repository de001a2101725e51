/**
 * QPACK field sections, encoded without a dynamic table (RFC 9204 section 4.5): an indexed static entry where
 * name and value match, else a literal with the static name, else a literal. Strings are sent plain.
 */
import type { Fields } from "./fields.ts";
import { STATIC_TABLE } from "./qpack-static-table.ts";

/** The first bits of each representation, and how many bits of an integer follow in that byte. */
const INDEXED_STATIC = { pattern: 0xc0, prefixBits: 6 };
const LITERAL_STATIC_NAME = { pattern: 0x50, prefixBits: 4 };
const LITERAL_NAME = { pattern: 0x20, prefixBits: 3 };
const PLAIN_STRING = { pattern: 0x00, prefixBits: 7 };

interface StaticEntries {
  /** Of the first entry with that name. */
  readonly nameIndex: number;
  readonly indexByValue: Map<string, number>;
}

const STATIC_INDEX = indexStaticTable();

/** The field section of `fields`, whose characters are bytes (`fields.ts`). */
export function encodeFieldSection(fields: Fields): Uint8Array {
  // Required Insert Count 0, Delta Base 0.
  const out: number[] = [0, 0];
  for (const [name, value] of fields) {
    const entries = STATIC_INDEX.get(name);
    const index = entries?.indexByValue.get(value);
    if (index !== undefined) {
      pushInteger(out, INDEXED_STATIC, index);
    } else if (entries !== undefined) {
      pushInteger(out, LITERAL_STATIC_NAME, entries.nameIndex);
      pushString(out, PLAIN_STRING, value);
    } else {
      pushString(out, LITERAL_NAME, name);
      pushString(out, PLAIN_STRING, value);
    }
  }
  return Uint8Array.from(out);
}

/** A prefixed integer (RFC 7541 section 5.1). */
function pushInteger(out: number[], { pattern, prefixBits }: typeof PLAIN_STRING, value: number): void {
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    out.push(pattern | value);
    return;
  }
  out.push(pattern | mask);
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push(0x80 | (rest % 0x80));
  out.push(rest);
}

function pushString(out: number[], form: typeof PLAIN_STRING, text: string): void {
  pushInteger(out, form, text.length);
  for (let i = 0; i < text.length; i++) out.push(text.charCodeAt(i));
}

function indexStaticTable(): Map<string, StaticEntries> {
  const index = new Map<string, StaticEntries>();
  for (const [at, [name, value]] of STATIC_TABLE.entries()) {
    const entries = index.get(name) ?? { nameIndex: at, indexByValue: new Map<string, number>() };
    if (!entries.indexByValue.has(value)) entries.indexByValue.set(value, at);
    index.set(name, entries);
  }
  return index;
}
