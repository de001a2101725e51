/** The input that a worker is at, in memory that survives it: a parser that never returns cannot tell. */

const COUNT = 0;
const PARSER = 1;
const LENGTH = 2;
/** Bytes of the three words. */
const WORDS_BYTES = 12;

export class LastInput {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  /** `memory`: of another thread's `LastInput`. */
  constructor(memory = new SharedArrayBuffer(WORDS_BYTES + MAX_BYTES)) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, WORDS_BYTES / Int32Array.BYTES_PER_ELEMENT);
    this.#bytes = new Uint8Array(memory, WORDS_BYTES);
  }

  /** Notes an input of the parser of that number. What is longer than there is room for is cut off. */
  note(parser: number, input: Uint8Array): void {
    const bytes = input.subarray(0, MAX_BYTES);
    this.#bytes.set(bytes);
    Atomics.store(this.#words, PARSER, parser);
    Atomics.store(this.#words, LENGTH, bytes.length);
    Atomics.add(this.#words, COUNT, 1);
  }

  /** Inputs noted so far; goes round at 2^32. */
  get count(): number {
    return Atomics.load(this.#words, COUNT);
  }

  /** The number of its parser. */
  get parser(): number {
    return Atomics.load(this.#words, PARSER);
  }

  get input(): Uint8Array {
    return this.#bytes.slice(0, Atomics.load(this.#words, LENGTH));
  }
}

/** Far above any input. */
const MAX_BYTES = 64 * 1024;
