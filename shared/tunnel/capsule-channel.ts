/**
 * The control stream as a channel of capsules, both ways (RFC 9297 section 3).
 *
 *   stream readable ▸ a small buffer ▸ CapsuleReader ▸ onCapsule
 *   send ▸ a bounded queue ▸ stream
 */
import { ZgateError } from "../errors.ts";
import { READ_RESET, WRITE_CLOSED } from "../native/quic.ts";
import { CapsuleReader } from "./capsule.ts";
import type { CapsuleHandler } from "./capsule.ts";
import { CAPSULE_QUEUE_BYTES, CAPSULE_READ_BYTES, CAPSULE_TURN_READS, SLAB_HEADROOM } from "./constants.ts";

/** What the channel needs of its HTTP/3 stream. It takes over both handlers. */
export interface CapsuleStream {
  readBody(slab: Uint8Array, from: number, to: number): number;
  writeBody(slab: Uint8Array, from: number, to: number): number;
  onReadable: (() => void) | undefined;
  onWritable: (() => void) | undefined;
}

export interface CapsuleEvents {
  readonly onCapsule: CapsuleHandler;
  /** Called once: the peer ended or reset the stream. */
  readonly onEnd: (reason: string) => void;
  /** Called once, instead: the peer sent something that cannot be; `ZG_CAPSULE`. */
  readonly onFault: (error: ZgateError) => void;
}

/** One buffer for all channels: it is used within one synchronous call. */
const buffer = new Uint8Array(CAPSULE_READ_BYTES);

export class CapsuleChannel {
  readonly #stream: CapsuleStream;
  readonly #events: CapsuleEvents;
  readonly #reader: CapsuleReader;
  /** Each with its headroom. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** The peer sends no more. */
  #over = false;
  /** The peer takes no more. */
  #closed = false;

  constructor(stream: CapsuleStream, events: CapsuleEvents) {
    this.#stream = stream;
    this.#events = events;
    this.#reader = new CapsuleReader(events.onCapsule);
    stream.onReadable = () => this.#read();
    stream.onWritable = () => this.#drain();
    setImmediate(() => this.#read());
  }

  /** Sends a whole capsule. False when the peer reads too slowly and the queue is full, or the stream is closed. */
  send(capsule: Uint8Array): boolean {
    if (this.#over || this.#closed || this.#queuedBytes + capsule.length > CAPSULE_QUEUE_BYTES) return false;
    const slab = new Uint8Array(SLAB_HEADROOM + capsule.length);
    slab.set(capsule, SLAB_HEADROOM);
    this.#queue.push(slab);
    this.#queuedBytes += capsule.length;
    if (this.#queue.length === 1) this.#drain();
    return !this.#closed;
  }

  #drain(): void {
    for (let slab = this.#queue[0]; slab !== undefined; slab = this.#queue[0]) {
      const taken = this.#stream.writeBody(slab, SLAB_HEADROOM, slab.length);
      if (taken === 0) return;
      if (taken === WRITE_CLOSED) {
        this.#closed = true;
        this.#queue = [];
        this.#queuedBytes = 0;
        return;
      }
      this.#queue.shift();
      this.#queuedBytes -= slab.length - SLAB_HEADROOM;
    }
  }

  #read(): void {
    for (let reads = 0; reads < CAPSULE_TURN_READS; reads++) {
      if (this.#over) return;
      const bytes = this.#stream.readBody(buffer, 0, buffer.length);
      if (bytes === 0) return;
      if (bytes < 0) {
        this.#end(bytes);
        return;
      }
      try {
        this.#reader.push(buffer, 0, bytes);
      } catch (error) {
        if (!(error instanceof ZgateError)) throw error;
        this.#over = true;
        this.#events.onFault(error);
        return;
      }
    }
    setImmediate(() => this.#read());
  }

  #end(result: number): void {
    this.#over = true;
    if (result === READ_RESET) this.#events.onEnd("the peer reset the control stream");
    else if (this.#reader.atBoundary) this.#events.onEnd("the peer ended the control stream");
    else this.#events.onFault(new ZgateError("ZG_CAPSULE", "the control stream ended inside a capsule"));
  }
}
