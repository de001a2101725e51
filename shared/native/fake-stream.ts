/** One end of a fake QUIC stream: a pipe to read from, a pipe to write to, or both. */
import { READ_RESET, WRITE_CLOSED, MAX_STREAM_WRITE, type QuicStream, type StreamDirection } from "./quic.ts";
import type { FakePipe } from "./fake-pipe.ts";

export class FakeStream implements QuicStream {
  readonly id: number;
  readonly direction: StreamDirection;
  readonly #input: FakePipe | undefined;
  readonly #output: FakePipe | undefined;

  constructor(id: number, direction: StreamDirection, input: FakePipe | undefined, output: FakePipe | undefined) {
    this.id = id;
    this.direction = direction;
    this.#input = input;
    this.#output = output;
  }

  get resetCode(): number {
    return this.#input?.resetCode ?? -1;
  }

  get stopCode(): number {
    return this.#output?.stopCode ?? -1;
  }

  get onReadable(): (() => void) | undefined {
    return this.#input?.onReadable;
  }

  set onReadable(handler: (() => void) | undefined) {
    if (this.#input !== undefined) this.#input.onReadable = handler;
  }

  get onWritable(): (() => void) | undefined {
    return this.#output?.onWritable;
  }

  set onWritable(handler: (() => void) | undefined) {
    if (this.#output !== undefined) this.#output.onWritable = handler;
  }

  read(slab: Uint8Array, from: number, to: number): number {
    checkRange(slab, from, to);
    return this.#input?.read(slab, from, to) ?? READ_RESET;
  }

  write(slab: Uint8Array, from: number, to: number): number {
    checkRange(slab, from, to);
    checkSize(to - from);
    return this.#output?.write(slab.slice(from, to)) ?? WRITE_CLOSED;
  }

  writev(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    if (count * 2 > ranges.length) throw new RangeError(`${count} ranges do not fit an array of ${ranges.length}`);
    const pieces: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const from = ranges[2 * i]!;
      const to = ranges[2 * i + 1]!;
      checkRange(slab, from, to);
      pieces.push(slab.subarray(from, to));
    }
    const bytes = Uint8Array.from(Buffer.concat(pieces));
    checkSize(bytes.length);
    return this.#output?.write(bytes) ?? WRITE_CLOSED;
  }

  finish(): void {
    this.#output?.finish();
  }

  reset(code: number): void {
    this.#output?.reset(code);
  }

  stop(code: number): void {
    this.#input?.stop(code);
  }

  /** The connection of this end is gone. */
  connectionClosed(): void {
    this.#output?.senderGone();
    this.#input?.receiverGone();
  }
}

function checkRange(slab: Uint8Array, from: number, to: number): void {
  if (!(from >= 0 && from <= to && to <= slab.length)) {
    throw new RangeError(`[${from}, ${to}) is no range of a slab of ${slab.length} bytes`);
  }
}

function checkSize(bytes: number): void {
  if (bytes === 0) throw new RangeError("a write of no bytes");
  if (bytes > MAX_STREAM_WRITE) throw new RangeError(`${bytes} bytes in one write, the most is ${MAX_STREAM_WRITE}`);
}
