/**
 * Texts in memory that threads share: by number, and, through a hash table, back from the text to its number. A
 * thread that is given a million of them does nothing until it asks for one.
 */

/** Texts by number. `units` holds all of them, UTF-16; text `n` is `units[ends[n - 1], ends[n])`. */
export interface TextColumns {
  readonly units: Uint16Array<SharedArrayBuffer>;
  readonly ends: Uint32Array<SharedArrayBuffer>;
  /** Open addressing with linear probing, at most half full: a text's number + 1, or 0. */
  readonly table: Uint32Array<SharedArrayBuffer>;
}

/** Collects different texts, numbered from 0. */
export class TextWriter {
  readonly #numbers = new Map<string, number>();

  /** The number of the text, which is taken in once. */
  add(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.#numbers.size);
    return this.#numbers.size - 1;
  }

  finish(): TextColumns {
    let length = 0;
    for (const text of this.#numbers.keys()) length += text.length;
    const units = new Uint16Array(new SharedArrayBuffer(2 * length));
    const ends = new Uint32Array(new SharedArrayBuffer(4 * this.#numbers.size));
    const table = new Uint32Array(new SharedArrayBuffer(4 * tableSizeFor(this.#numbers.size)));
    let end = 0;
    for (const [text, number] of this.#numbers) {
      for (let at = 0; at < text.length; at++) units[end++] = text.charCodeAt(at);
      ends[number] = end;
      let slot = hashOf(text) & (table.length - 1);
      while (table[slot] !== 0) slot = (slot + 1) & (table.length - 1);
      table[slot] = number + 1;
    }
    return { units, ends, table };
  }
}

/** Reads them. */
export class Texts {
  readonly #columns: TextColumns;

  constructor(columns: TextColumns) {
    this.#columns = columns;
  }

  get size(): number {
    return this.#columns.ends.length;
  }

  /** The text with that number; empty when there is none. */
  at(number: number): string {
    const { units } = this.#columns;
    let text = "";
    const end = this.#endOf(number);
    for (let at = this.#endOf(number - 1); at < end; at++) text += String.fromCharCode(units[at] ?? 0);
    return text;
  }

  /** The number of the text; -1 when it is not among them. */
  numberOf(text: string): number {
    const { table } = this.#columns;
    let slot = hashOf(text) & (table.length - 1);
    for (let entry = table[slot] ?? 0; entry !== 0; entry = table[slot] ?? 0) {
      if (this.#isAt(entry - 1, text)) return entry - 1;
      slot = (slot + 1) & (table.length - 1);
    }
    return -1;
  }

  #isAt(number: number, text: string): boolean {
    const { units } = this.#columns;
    const from = this.#endOf(number - 1);
    if (this.#endOf(number) - from !== text.length) return false;
    for (let at = 0; at < text.length; at++) if (units[from + at] !== text.charCodeAt(at)) return false;
    return true;
  }

  #endOf(number: number): number {
    return this.#columns.ends[number] ?? 0;
  }
}

function tableSizeFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, 2 * count) + 1));
}

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo), as an unsigned number. */
function hashOf(text: string): number {
  let hash = 0x811c_9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
