/**
 * Lines that wait to be written, bounded in bytes. A write may take a part of a line; the rest stays first.
 */
export class LineQueue {
  readonly #limit: number;
  /** Lines from `#head` on wait; those before are written and `undefined`. */
  #lines: (Buffer | undefined)[] = [];
  #head = 0;
  /** Bytes of the first line that are written. */
  #offset = 0;
  #bytes = 0;

  /** `limit`: bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Lines that wait, one of them perhaps written in part. */
  get lines(): number {
    return this.#lines.length - this.#head;
  }

  /** The first line is written in part. */
  get midLine(): boolean {
    return this.#offset > 0;
  }

  /** Bytes of the first line that wait; 0 when there is none. */
  get firstBytes(): number {
    return (this.#lines[this.#head]?.length ?? 0) - this.#offset;
  }

  /** Less than half of the limit waits. */
  get roomy(): boolean {
    return this.#bytes < this.#limit / 2;
  }

  /** Takes a line, or returns false when the limit would be exceeded. */
  push(line: Buffer): boolean {
    if (this.#bytes + line.length > this.#limit) return false;
    this.#lines.push(line);
    this.#bytes += line.length;
    return true;
  }

  /** The first line's rest and as many whole lines after it as fit in `limit` bytes. They stay in the queue. */
  peek(limit: number): Buffer {
    const pieces: Buffer[] = [];
    let total = 0;
    for (let at = this.#head; at < this.#lines.length; at++) {
      const line = this.#lines[at];
      const piece = at === this.#head ? line?.subarray(this.#offset) : line;
      if (piece === undefined || (pieces.length > 0 && total + piece.length > limit)) break;
      pieces.push(piece);
      total += piece.length;
    }
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces, total);
  }

  /** Removes what was written: at most what `peek` gave. */
  consume(bytes: number): void {
    this.#bytes -= bytes;
    let rest = bytes;
    while (rest > 0) {
      const waiting = this.firstBytes;
      if (rest < waiting) {
        this.#offset += rest;
        break;
      }
      rest -= waiting;
      this.#offset = 0;
      this.#lines[this.#head++] = undefined;
    }
    // Half of the array is spent: moving the rest costs less than the pushes that made it.
    if (this.#head * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#head);
      this.#head = 0;
    }
  }
}
