/**
 * The sending side of a request stream: HEADERS, then DATA frames whose header is written into the caller's
 * headroom, so that header and body leave in one native write without a copy of ours.
 */
import { WRITE_CLOSED, type QuicStream } from "../native/quic.ts";
import { encodeVarint, varintSize } from "../wire/varint.ts";
import { DATA_HEADROOM, MAX_BODY_WRITE } from "./constants.ts";
import type { Fields } from "./fields.ts";
import { encodeFieldSection } from "./qpack-encoder.ts";
import { FRAME } from "./spec.ts";

type State = "idle" | "open" | "finished" | "closed";

export class MessageWriter {
  /** Called once after a write of body returned 0, when one would be taken, or the side was closed. */
  onWritable: (() => void) | undefined;
  /** Called once when nothing more will be sent. */
  readonly #onDone: () => void;
  readonly #stream: QuicStream;
  #state: State = "idle";
  /** What the stream did not take at once: HEADERS, and a small body. */
  #pending: Uint8Array | undefined;
  #wanted = false;

  constructor(stream: QuicStream, onDone: () => void) {
    this.#stream = stream;
    this.#onDone = onDone;
    stream.onWritable = () => this.#flush();
  }

  /** Body can be sent. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** HEADERS (and `body` in one DATA frame, when it is not empty). */
  sendMessage(fields: Fields, body: Uint8Array | undefined): void {
    if (this.#state === "closed") return;
    this.#state = "open";
    this.#send(encodeMessage(fields, body));
  }

  writeBody(slab: Uint8Array, from: number, to: number): number {
    const size = to - from;
    if (from < DATA_HEADROOM) throw new RangeError(`writeBody needs ${DATA_HEADROOM} bytes in front of the body`);
    checkBodySize(size);
    if (!this.#ready()) return this.#notReady();
    const start = from - 1 - varintSize(size);
    writeDataHeader(slab, start, size);
    return this.#taken(this.#stream.write(slab, start, to), size);
  }

  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    let size = 0;
    for (let i = 1; i < count; i++) size += ranges[2 * i + 1]! - ranges[2 * i]!;
    checkBodySize(size);
    if (!this.#ready()) return this.#notReady();
    ranges[0] = 0;
    ranges[1] = writeDataHeader(slab, 0, size);
    return this.#taken(this.#stream.writev(slab, ranges, count), size);
  }

  finish(): void {
    if (this.#state === "finished" || this.#state === "closed") return;
    this.#state = "finished";
    if (this.#pending === undefined) this.#end();
  }

  reset(code: number): void {
    if (this.#state === "closed") return;
    this.#stream.reset(code);
    this.#close();
  }

  #send(bytes: Uint8Array): void {
    const taken = this.#stream.write(bytes, 0, bytes.length);
    if (taken === 0) this.#pending = bytes;
    else if (taken === WRITE_CLOSED) this.#refused();
  }

  #ready(): boolean {
    return this.#state === "open" && this.#pending === undefined;
  }

  #notReady(): number {
    if (this.#state === "idle") throw new TypeError("body before HEADERS: respond first");
    if (this.#state !== "open") return WRITE_CLOSED;
    this.#wanted = true;
    return 0;
  }

  #taken(taken: number, size: number): number {
    if (taken > 0) return size;
    if (taken === 0) this.#wanted = true;
    else this.#refused();
    return taken;
  }

  #flush(): void {
    const pending = this.#pending;
    if (pending !== undefined) {
      this.#pending = undefined;
      this.#send(pending);
      if (this.#pending !== undefined) return;
      if (this.#state === "finished") this.#end();
    }
    if (!this.#wanted) return;
    this.#wanted = false;
    this.onWritable?.();
  }

  /** The peer stopped the stream, or it is gone with the connection (RFC 9000 section 3.5). */
  #refused(): void {
    if (this.#stream.stopCode >= 0) this.#stream.reset(this.#stream.stopCode);
    this.#close();
  }

  #end(): void {
    this.#stream.finish();
    this.#onDone();
  }

  #close(): void {
    const done = this.#state === "finished" && this.#pending === undefined;
    this.#state = "closed";
    this.#pending = undefined;
    if (!done) this.#onDone();
  }
}

/** A DATA frame's header at `at`; returns the offset behind it (RFC 9114 section 7.2.1). */
function writeDataHeader(slab: Uint8Array, at: number, size: number): number {
  slab[at] = FRAME.DATA;
  return at + 1 + encodeVarint(size, slab, at + 1);
}

function checkBodySize(size: number): void {
  if (size < 1 || size > MAX_BODY_WRITE)
    throw new RangeError(`a body of ${size} bytes, expected 1 to ${MAX_BODY_WRITE}`);
}

function encodeMessage(fields: Fields, body: Uint8Array | undefined): Uint8Array {
  const section = encodeFieldSection(fields);
  const bodySize = body?.length ?? 0;
  const bodyHeader = bodySize > 0 ? 1 + varintSize(bodySize) : 0;
  const bytes = new Uint8Array(1 + varintSize(section.length) + section.length + bodyHeader + bodySize);
  bytes[0] = FRAME.HEADERS;
  let at = 1 + encodeVarint(section.length, bytes, 1);
  bytes.set(section, at);
  at += section.length;
  if (body !== undefined && bodySize > 0) bytes.set(body, writeDataHeader(bytes, at, bodySize));
  return bytes;
}
