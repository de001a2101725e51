/**
 * Lines from the queue into the sink, one write at a time, as far as the sink takes them.
 *
 *   queue ─▶ rotate? ─▶ write ─▶ consume ─▶ again, until the queue is empty
 *                 └───────┴─ failed: trouble, again after AUDIT_RETRY_MS
 *                         └─ takes long: trouble until it returns
 *
 * Nothing here blocks the caller: a line that the sink does not take waits in the bounded queue.
 */
import { messageOf } from "../shared/errors.ts";
import type { LineQueue } from "../shared/line-queue.ts";
import type { AuditSink } from "./audit-sink.ts";
import { AUDIT_RETRY_MS, AUDIT_STALL_MS } from "./constants.ts";

export interface WriterEvents {
  /** A write took something: there is room in the queue. */
  onProgress(): void;
  /** `trouble` changed. */
  onTrouble(): void;
}

export class AuditWriter {
  readonly #sink: AuditSink;
  readonly #queue: LineQueue;
  readonly #events: WriterEvents;
  #running: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  /** Number of the last record that was put into the queue. */
  #lastSeq = 0;
  #closed = false;

  constructor(sink: AuditSink, queue: LineQueue, events: WriterEvents) {
    this.#sink = sink;
    this.#queue = queue;
    this.#events = events;
  }

  /** Why the sink takes nothing now. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** The queue grew up to record `lastSeq`. */
  wake(lastSeq: number): void {
    this.#lastSeq = lastSeq;
    if (this.#retry === undefined) void this.run();
  }

  /** Writes until the queue is empty or the sink fails, which it says in `trouble`. */
  run(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    if (this.#running === undefined && this.#queue.lines > 0 && !this.#closed) this.#running = this.#write();
    return this.#running ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#sink.close();
  }

  async #write(): Promise<void> {
    try {
      while (this.#queue.lines > 0 && !this.#closed) await this.#writeBatch();
      this.#running = undefined;
    } catch (error) {
      this.#running = undefined;
      this.#fail(messageOf(error));
    }
  }

  async #writeBatch(): Promise<void> {
    const stall = setTimeout(() => this.#setTrouble(`a write takes longer than ${AUDIT_STALL_MS} ms`), AUDIT_STALL_MS);
    stall.unref();
    try {
      const { firstBytes, lines, midLine } = this.#queue;
      if (!midLine && this.#sink.wantsRotation(firstBytes)) await this.#sink.rotate(this.#lastSeq - lines);
      this.#queue.consume(await this.#sink.write(this.#queue.peek(this.#sink.batchLimit)));
    } finally {
      clearTimeout(stall);
    }
    this.#setTrouble(undefined);
    this.#events.onProgress();
  }

  #fail(message: string): void {
    this.#setTrouble(message);
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.run();
    }, AUDIT_RETRY_MS);
    this.#retry.unref();
  }

  #setTrouble(trouble: string | undefined): void {
    if (this.#trouble === trouble) return;
    this.#trouble = trouble;
    this.#events.onTrouble();
  }
}
