/**
 * A QUIC stream on the Rust addon. A stream stands in `armed` only while somebody waits for one of its
 * edges, so a stream that is dropped is collected.
 */
import { EDGE_READABLE, EDGE_WRITABLE, READ_ARMED } from "./binding.ts";
import type { NativeEndpointFunctions, NativeStream } from "./binding.ts";
import { run } from "./handler.ts";
import { calling, translated } from "./native-error.ts";
import type { QuicStream, StreamDirection } from "./quic.ts";

/** Something that waits for an edge, by its token. */
export interface Armed {
  edge(bits: number): void;
}

/** What the streams of an endpoint share. */
export interface StreamHost {
  readonly armed: Map<number, Armed>;
  readonly functions: NativeEndpointFunctions;
}

export class AddonStream implements QuicStream {
  readonly id: number;
  readonly direction: StreamDirection;
  readonly #native: NativeStream;
  readonly #place: number;
  readonly #token: number;
  readonly #host: StreamHost;
  #waiting = 0;
  /** A read returned 0: the edge is the caller's, too. */
  #asked = false;
  /** Edges that found no handler: handed over when one is set. */
  #missed = 0;
  #onReadable: (() => void) | undefined;
  #onWritable: (() => void) | undefined;

  constructor(native: NativeStream, host: StreamHost) {
    this.#native = native;
    this.#host = host;
    this.#place = native.place;
    this.#token = native.token;
    this.id = native.id;
    this.direction = native.direction;
  }

  get resetCode(): number {
    return this.#native.resetCode;
  }

  get stopCode(): number {
    return this.#native.stopCode;
  }

  read(slab: Uint8Array, from: number, to: number): number {
    try {
      // Armed: the edge will tell.
      if ((this.#waiting & EDGE_READABLE) !== 0) {
        if (from < to) this.#asked = true;
        return 0;
      }
      const count = this.#host.functions.read(this.#place, slab, from, to);
      if (count < READ_ARMED) return count;
      this.#wait(EDGE_READABLE);
      this.#asked = count === READ_ARMED;
      return count - READ_ARMED;
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  write(slab: Uint8Array, from: number, to: number): number {
    try {
      const taken = this.#host.functions.write(this.#place, slab, from, to);
      if (taken === 0 && from < to) this.#wait(EDGE_WRITABLE);
      return taken;
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  writev(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    try {
      const taken = this.#host.functions.writev(this.#place, slab, ranges, count);
      if (taken === 0) this.#wait(EDGE_WRITABLE);
      return taken;
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  get onReadable(): (() => void) | undefined {
    return this.#onReadable;
  }

  set onReadable(handler: (() => void) | undefined) {
    this.#onReadable = handler;
    this.#handOver(EDGE_READABLE);
  }

  get onWritable(): (() => void) | undefined {
    return this.#onWritable;
  }

  set onWritable(handler: (() => void) | undefined) {
    this.#onWritable = handler;
    this.#handOver(EDGE_WRITABLE);
  }

  finish(): void {
    calling(() => this.#native.finish());
  }

  reset(code: number): void {
    calling(() => this.#native.reset(code));
  }

  stop(code: number): void {
    calling(() => this.#native.stop(code));
    // `read` has something to say at once; the last edge finds the stream in the map all the same.
    this.#waiting &= ~EDGE_READABLE;
  }

  /** From the endpoint's dispatch. */
  edge(bits: number): void {
    this.#waiting &= ~bits;
    if (this.#waiting === 0) this.#host.armed.delete(this.#token);
    if ((bits & EDGE_WRITABLE) !== 0) this.#fire(EDGE_WRITABLE);
    if ((bits & EDGE_READABLE) === 0 || !this.#asked) return;
    this.#asked = false;
    this.#fire(EDGE_READABLE);
  }

  #wait(bit: number): void {
    if (this.#waiting === 0) this.#host.armed.set(this.#token, this);
    this.#waiting |= bit;
  }

  #fire(bit: number): void {
    const handler = bit === EDGE_READABLE ? this.#onReadable : this.#onWritable;
    if (handler === undefined) this.#missed |= bit;
    else run(handler);
  }

  #handOver(bit: number): void {
    if ((this.#missed & bit) === 0) return;
    this.#missed &= ~bit;
    queueMicrotask(() => this.#fire(bit));
  }
}
