/** A QUIC connection on the Rust addon. */
import { ZgateError } from "../errors.ts";
import { AddonStream } from "./addon-stream.ts";
import type { StreamHost } from "./addon-stream.ts";
import type { NativeConnection, NativeStream } from "./binding.ts";
import { run } from "./handler.ts";
import { calling, translated } from "./native-error.ts";
import type { CloseInfo, ConnectionStats, QuicConnection, QuicStream } from "./quic.ts";

/** What waits for a notice with its ticket. */
export class Tickets<T> {
  readonly #waiting = new Map<number, PromiseWithResolvers<T>>();
  #next = 1;

  issue(): { readonly ticket: number; readonly promise: Promise<T> } {
    const ticket = this.#next;
    this.#next = (this.#next + 1) >>> 0;
    const waiting = Promise.withResolvers<T>();
    this.#waiting.set(ticket, waiting);
    return { ticket, promise: waiting.promise };
  }

  take(ticket: number): PromiseWithResolvers<T> | undefined {
    const waiting = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    return waiting;
  }

  rejectAll(error: ZgateError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

/** What the connections of an endpoint share. */
export interface ConnectionHost extends StreamHost {
  readonly opening: Tickets<QuicStream>;
}

export class AddonConnection implements QuicConnection {
  readonly peerChainDer: readonly Uint8Array[];
  readonly alpn: string;
  readonly keyExchangeGroup: string;
  readonly cipherSuite: string;
  readonly closed: Promise<CloseInfo>;
  readonly #native: NativeConnection;
  readonly #host: ConnectionHost;
  readonly #settleClosed: (info: CloseInfo) => void;
  #onStream: ((stream: QuicStream) => void) | undefined;
  #onDatagrams: (() => void) | undefined;
  #missedDatagrams = false;
  /** Streams that came before `onStream` was set; the transport's stream limits bound them. */
  #early: QuicStream[] = [];

  constructor(native: NativeConnection, host: ConnectionHost) {
    this.#native = native;
    this.#host = host;
    this.peerChainDer = native.takeChain();
    this.alpn = native.alpn;
    this.keyExchangeGroup = native.keyExchangeGroup;
    this.cipherSuite = native.cipherSuite;
    const closed = Promise.withResolvers<CloseInfo>();
    this.closed = closed.promise;
    this.#settleClosed = closed.resolve;
  }

  get remote(): string {
    return this.#stats().remote;
  }

  openBidi(): Promise<QuicStream> {
    return this.#open(true);
  }

  openUni(): Promise<QuicStream> {
    return this.#open(false);
  }

  get onStream(): ((stream: QuicStream) => void) | undefined {
    return this.#onStream;
  }

  set onStream(handler: ((stream: QuicStream) => void) | undefined) {
    this.#onStream = handler;
    if (handler !== undefined && this.#early.length > 0) queueMicrotask(() => this.#handOver());
  }

  get maxDatagramSize(): number {
    return this.#native.maxDatagramSize;
  }

  sendDatagram(slab: Uint8Array, from: number, to: number): boolean {
    try {
      return this.#native.sendDatagram(slab, from, to);
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  readDatagrams(slab: Uint8Array, from: number, to: number): number {
    try {
      const count = this.#native.readDatagrams(slab, from, to);
      if (count === 0) this.#host.armed.set(this.#native.token, this);
      return count;
    } catch (thrown) {
      throw translated(thrown);
    }
  }

  get onDatagrams(): (() => void) | undefined {
    return this.#onDatagrams;
  }

  set onDatagrams(handler: (() => void) | undefined) {
    this.#onDatagrams = handler;
    if (handler === undefined || !this.#missedDatagrams) return;
    this.#missedDatagrams = false;
    queueMicrotask(() => this.#fireDatagrams());
  }

  stats(): ConnectionStats {
    return this.#stats();
  }

  close(code: number, reason: string): void {
    calling(() => this.#native.close(code, reason));
  }

  /** From the endpoint's dispatch: datagrams are there. */
  edge(): void {
    this.#host.armed.delete(this.#native.token);
    this.#fireDatagrams();
  }

  /** From the endpoint's dispatch: the peer opened a stream. */
  accepted(native: NativeStream): void {
    this.#early.push(new AddonStream(native, this.#host));
    if (this.#onStream !== undefined) this.#handOver();
  }

  /** From the endpoint's dispatch: the connection ended. */
  ended(info: CloseInfo): void {
    this.#host.armed.delete(this.#native.token);
    this.#settleClosed(info);
  }

  #open(bidi: boolean): Promise<QuicStream> {
    const { ticket, promise } = this.#host.opening.issue();
    this.#native.open(ticket, bidi);
    return promise;
  }

  #stats(): ConnectionStats & { readonly remote: string } {
    const stats = this.#native.stats();
    if (stats === null) throw new ZgateError("ZG_CONNECTION_CLOSED", "the connection is closed");
    return stats;
  }

  #handOver(): void {
    for (let stream = this.#early.shift(); stream !== undefined; stream = this.#early.shift()) {
      const handler = this.#onStream;
      if (handler === undefined) {
        this.#early.unshift(stream);
        return;
      }
      const accepted = stream;
      run(() => handler(accepted));
    }
  }

  #fireDatagrams(): void {
    if (this.#onDatagrams === undefined) this.#missedDatagrams = true;
    else run(this.#onDatagrams);
  }
}
