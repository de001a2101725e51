/**
 * One direction of a fake QUIC stream: the sender's queue, the way through the air, the receiver's buffer.
 *
 *   write ▸ queue ──latency──▸ arrived ▸ read
 *              ◂──latency── window, STOP_SENDING
 */
import { READ_END, READ_RESET, WRITE_CLOSED } from "./quic.ts";

export interface PipeOptions {
  readonly schedule: (delayMs: number, task: () => void) => () => void;
  readonly latencyMs: number;
  /** Sizes in which bytes arrive, each in an event of its own; none: as they were written. */
  readonly pieces: readonly number[];
  readonly highWater: number;
  readonly receiveWindow: number;
}

type SendState = "open" | "finishing" | "sent" | "closed";
/** `dying`: the connection is gone, what arrived before can still be read. */
type ReceiveState = "open" | "ended" | "reset" | "dying";

export class FakePipe {
  resetCode = -1;
  stopCode = -1;
  /** The receiver learns that the stream exists. */
  onFirstArrival: (() => void) | undefined;
  /** Both halves are done with. */
  onEnded: (() => void) | undefined;
  onReadable: (() => void) | undefined;
  onWritable: (() => void) | undefined;

  readonly #options: PipeOptions;
  readonly #count: (bytes: number) => void;
  #send: SendState = "open";
  #receive: ReceiveState = "open";
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  /** Bytes under way or arrived and not read: what the window bounds. */
  #outstanding = 0;
  readonly #arrived: Uint8Array[] = [];
  #pumping = false;
  #piece = 0;
  #readArmed = false;
  #writeArmed = false;
  #ended = false;

  constructor(options: PipeOptions, count: (bytes: number) => void) {
    this.#options = options;
    this.#count = count;
  }

  write(bytes: Uint8Array): number {
    if (this.#send !== "open") return WRITE_CLOSED;
    if (this.#queued > 0 && this.#queued + bytes.length > this.#options.highWater) {
      this.#writeArmed = true;
      return 0;
    }
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#pump();
    return bytes.length;
  }

  finish(): void {
    if (this.#send !== "open") return;
    this.#send = "finishing";
    this.#pump();
  }

  reset(code: number): void {
    if (this.#send === "closed" || this.#send === "sent") return;
    this.#closeSend();
    this.#later(() => this.#arriveReset(code));
  }

  read(slab: Uint8Array, from: number, to: number): number {
    if (this.#receive === "reset") return READ_RESET;
    let at = from;
    for (;;) {
      const head = this.#arrived[0];
      if (head === undefined || at === to) break;
      const taken = Math.min(head.length, to - at);
      slab.set(head.subarray(0, taken), at);
      at += taken;
      if (taken === head.length) this.#arrived.shift();
      else this.#arrived[0] = head.subarray(taken);
    }
    if (at > from) {
      this.#freeWindow(at - from);
      return at - from;
    }
    if (this.#receive === "ended") return READ_END;
    if (this.#receive === "dying") return READ_RESET;
    this.#readArmed = true;
    return 0;
  }

  stop(code: number): void {
    if (this.#receive !== "open") return;
    this.#receive = "reset";
    this.#arrived.length = 0;
    this.#later(() => {
      if (this.#send === "closed") return;
      this.stopCode = code;
      this.#closeSend();
      this.#wakeWriter();
    });
    this.#settle();
  }

  /** The sender's connection is gone. */
  senderGone(): void {
    if (this.#send !== "closed") this.#closeSend();
    this.#wakeWriter();
  }

  /** The receiver's connection is gone. */
  receiverGone(): void {
    if (this.#receive === "open") this.#receive = "dying";
    this.#wakeReader();
  }

  /** One piece a task, so that a reader meets every boundary. */
  #pump(): void {
    if (this.#pumping) return;
    if (this.#queue.length === 0 && this.#send !== "finishing") return;
    if (this.#queue.length > 0 && this.#outstanding >= this.#options.receiveWindow) return;
    this.#pumping = true;
    this.#options.schedule(0, () => {
      this.#pumping = false;
      this.#sendPiece();
      this.#pump();
    });
  }

  #sendPiece(): void {
    if (this.#send === "closed") return;
    const head = this.#queue[0];
    if (head === undefined) {
      this.#send = "sent";
      this.#later(() => this.#arriveEnd());
      return;
    }
    const { pieces, receiveWindow } = this.#options;
    const wanted = pieces.length === 0 ? head.length : pieces[this.#piece++ % pieces.length]!;
    const size = Math.min(wanted, head.length, receiveWindow - this.#outstanding);
    const piece = head.subarray(0, size);
    if (size === head.length) this.#queue.shift();
    else this.#queue[0] = head.subarray(size);
    this.#queued -= size;
    this.#outstanding += size;
    this.#count(size);
    this.#later(() => this.#arrive(piece));
    if (this.#queued <= this.#options.highWater / 2) this.#wakeWriter();
  }

  #arrive(piece: Uint8Array): void {
    if (this.#receive !== "open") return;
    this.#arrived.push(piece);
    this.onFirstArrival?.();
    this.#wakeReader();
  }

  #arriveEnd(): void {
    if (this.#receive === "open") this.#receive = "ended";
    this.onFirstArrival?.();
    this.#wakeReader();
    this.#settle();
  }

  #arriveReset(code: number): void {
    if (this.#receive === "ended") return;
    this.#receive = "reset";
    this.#arrived.length = 0;
    this.resetCode = code;
    this.onFirstArrival?.();
    this.#wakeReader();
    this.#settle();
  }

  #freeWindow(bytes: number): void {
    this.#later(() => {
      this.#outstanding -= bytes;
      this.#pump();
    });
  }

  #closeSend(): void {
    this.#send = "closed";
    this.#queue.length = 0;
    this.#queued = 0;
  }

  #wakeReader(): void {
    if (!this.#readArmed) return;
    this.#readArmed = false;
    this.#options.schedule(0, () => this.onReadable?.());
  }

  #wakeWriter(): void {
    if (!this.#writeArmed) return;
    this.#writeArmed = false;
    this.#options.schedule(0, () => this.onWritable?.());
  }

  #settle(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnded?.();
  }

  #later(task: () => void): void {
    this.#options.schedule(this.#options.latencyMs, task);
  }
}
