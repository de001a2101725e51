/**
 * One request and its response on a QUIC stream (RFC 9114 section 4.1), as either side sees it.
 *
 *   server:  HEADERS in ▸ `onRequest` ▸ respond ▸ body both ways
 *   client:  HEADERS out ▸ HEADERS in ▸ `answered` ▸ body both ways
 *
 * Whoever owns a stream ends it: `finish` and reading to the end, or `close`. Until then the connection keeps it.
 */
import { READ_END, READ_RESET, type QuicStream } from "../native/quic.ts";
import { encodeVarint, varintSize } from "../wire/varint.ts";
import { DATAGRAM_HEADROOM, MAX_INTERIM_RESPONSES } from "./constants.ts";
import { Http3Error, streamFault } from "./fault.ts";
import { fieldValue, type Field, type Fields } from "./fields.ts";
import { READ_YIELD, READY } from "./frame-reader.ts";
import { bodyRules, isTunnel } from "./message-kind.ts";
import { MessageReader, SECTION_TOO_LARGE } from "./message-reader.ts";
import { MessageWriter } from "./message-writer.ts";
import { HTTP3_CODE } from "./spec.ts";
import type { MessageOptions, StreamOwner } from "./stream-owner.ts";

const NO_FIELDS: Fields = [];
/** Where the rest of a request goes that the server does not want. */
const scratch = new Uint8Array(1024);

export class Http3Stream {
  /** The QUIC stream id. */
  readonly id: number;
  /** As the client sent it. On a server empty until `onRequest`. */
  request: Fields = NO_FIELDS;
  /** Client: of the final response. */
  response: Fields = NO_FIELDS;
  /** Client: of the final response; 0 before. */
  status = 0;
  /** Client: settles when the final response is there, or never will be. */
  readonly answered: Promise<void>;
  /** Called once after `readBody` returned 0, when there is something to read: bytes, end or reset. */
  onReadable: (() => void) | undefined;
  /** The payload of an HTTP Datagram; the view is valid during the call only. */
  onDatagram: ((slab: Uint8Array, from: number, to: number) => void) | undefined;

  readonly #owner: StreamOwner;
  readonly #quic: QuicStream;
  readonly #reader: MessageReader;
  readonly #writer: MessageWriter;
  readonly #answer = Promise.withResolvers<void>();
  #hasHead = false;
  #interim = 0;
  /** READ_END or READ_RESET once the receiving side is done; 0 before. */
  #final = 0;
  #sendDone = false;
  #readWanted = false;

  constructor(owner: StreamOwner, quic: QuicStream) {
    this.id = quic.id;
    this.#owner = owner;
    this.#quic = quic;
    this.#reader = new MessageReader(quic, owner.role, owner.maxFieldSectionSize);
    this.#writer = new MessageWriter(quic, () => this.#onSendDone());
    this.answered = this.#answer.promise;
    this.answered.catch(() => {});
    quic.onReadable = () => this.#onQuicReadable();
  }

  /** The code of the peer's RESET_STREAM; -1 when there was none. */
  get resetCode(): number {
    return this.#quic.resetCode;
  }

  /** Called once after a write of body returned 0, when one would be taken, or the sending side was closed. */
  get onWritable(): (() => void) | undefined {
    return this.#writer.onWritable;
  }

  set onWritable(handler: (() => void) | undefined) {
    this.#writer.onWritable = handler;
  }

  /** The value of a field of what the peer sent: the request on a server, the response on a client. */
  field(name: string): string | undefined {
    return fieldValue(this.#owner.role === "server" ? this.request : this.response, name);
  }

  /** Client: sends the request. */
  send(fields: Fields, options: MessageOptions = {}): void {
    this.request = fields;
    this.#writer.sendMessage(fields, options.body);
    if (options.end === true) this.#writer.finish();
    this.#readHead();
  }

  /** Server: reads the request, which the connection hears of by `onHead`. */
  receive(): void {
    this.#readHead();
  }

  /** Server: sends the final response, once. Does nothing when the client has gone. */
  respond(status: number, fields: Fields = NO_FIELDS, options: MessageOptions = {}): void {
    if (this.status !== 0) throw new TypeError(`stream ${this.id} was answered with ${this.status} already`);
    this.status = status;
    const head: Field[] = [[":status", String(status)], ...fields];
    this.#writer.sendMessage(head, options.body);
    if (options.end === true) this.finish();
    this.#owner.onSettled(this);
  }

  /**
   * Body bytes into `slab[from, to)`, which is not empty: their number; 0, and `onReadable` will be called;
   * READ_END; READ_RESET (reset by the peer, given up by us, or the connection is gone).
   */
  readBody(slab: Uint8Array, from: number, to: number): number {
    if (this.#final !== 0) return this.#final;
    let got = 0;
    if (this.#hasHead) {
      try {
        got = this.#reader.readBody(slab, from, to);
      } catch (thrown) {
        this.#giveUp(thrown);
        return READ_RESET;
      }
    }
    if (got > 0) return got;
    if (got === READ_END || got === READ_RESET) {
      this.#onReceiveDone(got);
      return got;
    }
    this.#readWanted = true;
    if (got === READ_YIELD) this.#owner.schedule(0, () => this.#onQuicReadable());
    return 0;
  }

  /**
   * Sends `slab[from, to)` as one DATA frame, all or nothing. The `DATA_HEADROOM` bytes in front of `from` are
   * overwritten. Returns the bytes of body taken; 0, and `onWritable` will be called; WRITE_CLOSED.
   */
  writeBody(slab: Uint8Array, from: number, to: number): number {
    return this.#writer.writeBody(slab, from, to);
  }

  /**
   * As `writeBody`, for the pieces that `ranges` names: pairs `from, to` from index 2 on. The first pair is
   * overwritten with that of the DATA header, which goes into `slab[0, DATA_HEADROOM)`; `count` includes it.
   */
  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    return this.#writer.writeBodyRuns(slab, ranges, count);
  }

  /** The largest payload that `sendDatagram` would take now, in bytes; 0: none. */
  get maxDatagramSize(): number {
    return Math.max(0, this.#owner.maxQuicDatagram() - varintSize(this.id / 4));
  }

  /**
   * Sends `slab[from, to)` as one HTTP Datagram (RFC 9297 section 2.1). Up to `DATAGRAM_HEADROOM` bytes in
   * front of `from` are overwritten. False: the peer takes none, it is too large, or the queue is full.
   */
  sendDatagram(slab: Uint8Array, from: number, to: number): boolean {
    if (from < DATAGRAM_HEADROOM) throw new RangeError(`sendDatagram needs ${DATAGRAM_HEADROOM} bytes in front`);
    if (!this.#writer.open) return false;
    const quarter = this.id / 4;
    const start = from - varintSize(quarter);
    encodeVarint(quarter, slab, start);
    return this.#owner.sendDatagram(slab, start, to);
  }

  /** A datagram for this stream came; the connection calls it. RFC 9297 section 2. */
  receiveDatagram(slab: Uint8Array, from: number, to: number): void {
    if (this.#final !== 0) return;
    if (this.onDatagram !== undefined) this.onDatagram(slab, from, to);
    else if (this.#refusesDatagrams()) this.close(HTTP3_CODE.H3_DATAGRAM_ERROR);
  }

  /** Ends the sending side. A server that has answered wants no more of the request, unless it is a tunnel. */
  finish(): void {
    this.#writer.finish();
    if (this.#owner.role === "server" && !isTunnel(this.request, this.status)) this.#discardRest();
  }

  /** Abandons the sending side. */
  reset(code: number): void {
    this.#writer.reset(code);
  }

  /** Asks the peer to abandon its sending side; nothing more is read. */
  stop(code: number): void {
    if (this.#final !== 0) return;
    this.#quic.stop(code);
    this.#onReceiveDone(READ_RESET);
  }

  /** Both directions: what is not finished is given up with `code`. */
  close(code: number): void {
    this.reset(code);
    this.stop(code);
  }

  /** Client: gives up waiting for the response. */
  cancel(reason: Error): void {
    this.#answer.reject(reason);
    this.close(HTTP3_CODE.H3_REQUEST_CANCELLED);
  }

  #onQuicReadable(): void {
    if (!this.#hasHead) {
      this.#readHead();
    } else if (this.#readWanted) {
      this.#readWanted = false;
      this.onReadable?.();
    }
  }

  #readHead(): void {
    try {
      while (!this.#hasHead && this.#final === 0) {
        const step = this.#reader.readSection(this.#owner.role === "server" ? "request" : "response");
        if (step === READY) this.#onSection(this.#reader.fields);
        else return this.#onNoSection(step);
      }
    } catch (thrown) {
      this.#giveUp(thrown);
    }
  }

  #onSection(fields: Fields): void {
    if (this.#owner.role === "server") this.request = fields;
    else {
      const status = Number(fieldValue(fields, ":status"));
      if (status < 200) {
        if (++this.#interim > MAX_INTERIM_RESPONSES)
          throw streamFault("H3_EXCESSIVE_LOAD", "too many interim responses");
        return;
      }
      this.status = status;
      this.response = fields;
    }
    this.#hasHead = true;
    this.#reader.beginBody(bodyRules(this.request, this.status, fields));
    this.#answer.resolve();
    this.#owner.onHead(this);
  }

  #onNoSection(step: number): void {
    const server = this.#owner.role === "server";
    switch (step) {
      case 0:
        return;
      case READ_YIELD:
        this.#owner.schedule(0, () => this.#onQuicReadable());
        return;
      case READ_END:
        // RFC 9114 section 4.1: not a whole request; of a response it makes a malformed one.
        if (server) throw streamFault("H3_REQUEST_INCOMPLETE", "the stream ended before the request");
        throw streamFault("H3_MESSAGE_ERROR", "the stream ended before the response");
      case SECTION_TOO_LARGE:
        if (!server) throw streamFault("H3_EXCESSIVE_LOAD", "the response's field section is too large");
        this.respond(431, NO_FIELDS, { end: true });
        return;
      default:
        this.#onHeadReset();
    }
  }

  /** The peer reset the stream, or the connection is gone, before there was a head. */
  #onHeadReset(): void {
    this.#onReceiveDone(READ_RESET);
    this.#writer.reset(HTTP3_CODE.H3_REQUEST_CANCELLED);
    const code = this.#quic.resetCode;
    if (code >= 0)
      this.#answer.reject(new Http3Error("stream", code, `the peer reset stream ${this.id} before it answered`));
    else void this.#owner.closedError().then((error) => this.#answer.reject(error));
  }

  #giveUp(thrown: unknown): void {
    if (!(thrown instanceof Http3Error)) throw thrown;
    this.#answer.reject(thrown);
    if (thrown.scope === "connection") {
      this.#owner.onConnectionFault(thrown);
      this.#onReceiveDone(READ_RESET);
      this.#writer.reset(thrown.http3Code);
    } else this.close(thrown.http3Code);
  }

  /** No request but extended CONNECT has a meaning for datagrams, and that only when its server takes them. */
  #refusesDatagrams(): boolean {
    if (!this.#hasHead) return false;
    if (fieldValue(this.request, ":protocol") === undefined) return true;
    return this.#owner.role === "server" && this.#writer.open;
  }

  #discardRest(): void {
    if (this.#final !== 0) return;
    const got = this.#hasHead ? this.readBody(scratch, 0, scratch.length) : 0;
    if (got >= 0) this.stop(HTTP3_CODE.H3_NO_ERROR);
  }

  #onReceiveDone(final: number): void {
    if (this.#final !== 0) return;
    this.#final = final;
    this.#settleIfDone();
  }

  #onSendDone(): void {
    this.#sendDone = true;
    this.#settleIfDone();
  }

  #settleIfDone(): void {
    if (!this.#hasHead) this.#owner.onSettled(this);
    if (this.#sendDone && this.#final !== 0) this.#owner.onDone(this);
  }
}
