/**
 * Two QUIC connections in memory, one for each side, with what makes QUIC awkward: latency, bytes that arrive
 * in pieces, flow control, stream limits, datagrams that are lost, resets, stops and closes.
 *
 * A write goes: `write` ▸ the sender's queue (bounded by its high water mark) ▸ `latencyMs` ▸ the receiver's
 * window ▸ `read`. Each step is a task of the injected schedule, so handlers run as events, never inside a call.
 */
import { ZgateError } from "../errors.ts";
import { FakePipe, type PipeOptions } from "./fake-pipe.ts";
import { FakeStream } from "./fake-stream.ts";
import type { CloseInfo, ConnectionStats, QuicConnection, QuicStream, StreamDirection } from "./quic.ts";

/** Runs `task` after `delayMs`; the returned function cancels it. */
type Schedule = (delayMs: number, task: () => void) => () => void;

export interface FakeQuicOptions {
  /** One way, in milliseconds; 0 when not given. */
  readonly latencyMs?: number;
  /** `FakeClock.schedule` in tests that must be the same in each run; Node's timers when not given. */
  readonly schedule?: Schedule;
  /** Sizes of the pieces in which stream bytes arrive, each in an event of its own, over and over. */
  readonly pieces?: readonly number[];
  /** Bytes between `write` and the wire above which `write` returns 0. */
  readonly highWater?: number;
  /** Bytes that arrived and were not read above which the sender must wait, a stream. */
  readonly receiveWindow?: number;
  /** Streams that one side may have open at the same time. */
  readonly maxBidiStreams?: number;
  readonly maxUniStreams?: number;
  /** In bytes; 0: datagrams are off. */
  readonly maxDatagramSize?: number;
  /** Datagrams that wait to be read; more are lost. */
  readonly datagramQueue?: number;
  /** True: the `index`th datagram of this pair is lost. */
  readonly loseDatagram?: (index: number) => boolean;
  /** The DER chains that each side sees of the other. */
  readonly clientChainDer?: readonly Uint8Array[];
  readonly serverChainDer?: readonly Uint8Array[];
}

export interface FakeQuicPair {
  readonly client: FakeQuicConnection;
  readonly server: FakeQuicConnection;
}

const KIB = 1024;

/** Two connected ends. */
export function fakeQuicPair(options: FakeQuicOptions = {}): FakeQuicPair {
  const wire: Wire = {
    schedule: options.schedule ?? timerSchedule,
    latencyMs: options.latencyMs ?? 0,
    maxStreams: { bidi: options.maxBidiStreams ?? 100, uni: options.maxUniStreams ?? 100 },
    maxDatagramSize: options.maxDatagramSize ?? 1200,
    datagramQueue: options.datagramQueue ?? 256,
    loseDatagram: options.loseDatagram ?? (() => false),
    datagramsSent: 0,
    pipe: {
      schedule: options.schedule ?? timerSchedule,
      latencyMs: options.latencyMs ?? 0,
      pieces: options.pieces ?? [],
      highWater: options.highWater ?? 256 * KIB,
      receiveWindow: options.receiveWindow ?? 1024 * KIB,
    },
  };
  const client = new FakeQuicConnection(wire, "client", options.serverChainDer ?? [], "192.0.2.1:4433");
  const server = new FakeQuicConnection(wire, "server", options.clientChainDer ?? [], "192.0.2.2:50000");
  client.attach(server);
  server.attach(client);
  return { client, server };
}

interface Wire {
  readonly schedule: Schedule;
  readonly latencyMs: number;
  readonly maxStreams: Readonly<Record<StreamKind, number>>;
  readonly maxDatagramSize: number;
  readonly datagramQueue: number;
  readonly loseDatagram: (index: number) => boolean;
  datagramsSent: number;
  readonly pipe: PipeOptions;
}

type StreamKind = "bidi" | "uni";

interface Waiter {
  readonly resolve: (stream: FakeStream) => void;
  readonly reject: (error: Error) => void;
}

/** One end. */
export class FakeQuicConnection implements QuicConnection {
  readonly peerChainDer: readonly Uint8Array[];
  readonly alpn = "h3";
  readonly keyExchangeGroup = "X25519MLKEM768";
  readonly cipherSuite = "TLS13_AES_128_GCM_SHA256";
  readonly remote: string;
  readonly closed: Promise<CloseInfo>;
  readonly #wire: Wire;
  readonly #role: "client" | "server";
  readonly #settleClosed: (info: CloseInfo) => void;
  #peer!: FakeQuicConnection;
  #closeInfo: CloseInfo | undefined;

  readonly #streams = new Set<FakeStream>();
  readonly #opened = { bidi: 0, uni: 0 };
  readonly #openNow = { bidi: 0, uni: 0 };
  readonly #waiters: Record<StreamKind, Waiter[]> = { bidi: [], uni: [] };
  readonly #arrivals: FakeStream[] = [];
  #onStream: ((stream: QuicStream) => void) | undefined;

  readonly #datagrams: Uint8Array[] = [];
  #datagramsArmed = false;
  #sentBytes = 0;
  #receivedBytes = 0;
  onDatagrams: (() => void) | undefined;

  constructor(wire: Wire, role: "client" | "server", peerChainDer: readonly Uint8Array[], remote: string) {
    this.#wire = wire;
    this.#role = role;
    this.peerChainDer = peerChainDer;
    this.remote = remote;
    const { promise, resolve } = Promise.withResolvers<CloseInfo>();
    this.closed = promise;
    this.#settleClosed = resolve;
  }

  /** Joins the two ends; `fakeQuicPair` calls it. */
  attach(peer: FakeQuicConnection): void {
    this.#peer = peer;
  }

  openBidi(): Promise<FakeStream> {
    return this.#open("bidi");
  }

  openUni(): Promise<FakeStream> {
    return this.#open("uni");
  }

  get onStream(): ((stream: QuicStream) => void) | undefined {
    return this.#onStream;
  }

  set onStream(handler: ((stream: QuicStream) => void) | undefined) {
    this.#onStream = handler;
    if (handler !== undefined) this.#wire.schedule(0, () => this.#handOver());
  }

  get maxDatagramSize(): number {
    return this.#closeInfo === undefined ? this.#wire.maxDatagramSize : 0;
  }

  sendDatagram(slab: Uint8Array, from: number, to: number): boolean {
    if (to - from > this.maxDatagramSize || this.#closeInfo !== undefined) return false;
    const lost = this.#wire.loseDatagram(this.#wire.datagramsSent++);
    const copy = slab.slice(from, to);
    this.#sentBytes += copy.length;
    if (!lost) this.#wire.schedule(this.#wire.latencyMs, () => this.#peer.#receiveDatagram(copy));
    return true;
  }

  readDatagrams(slab: Uint8Array, from: number, to: number): number {
    let at = from;
    for (;;) {
      const next = this.#datagrams[0];
      if (next === undefined) {
        if (at === from) this.#datagramsArmed = true;
        return at - from;
      }
      if (at + 2 + next.length > to) return at - from;
      this.#datagrams.shift();
      slab[at] = next.length >> 8;
      slab[at + 1] = next.length & 0xff;
      slab.set(next, at + 2);
      at += 2 + next.length;
    }
  }

  stats(): ConnectionStats {
    return {
      rttMs: 2 * this.#wire.latencyMs,
      cwnd: this.#wire.pipe.receiveWindow,
      sentPackets: this.#wire.datagramsSent,
      lostPackets: 0,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      mtu: 1452,
    };
  }

  close(code: number, reason: string): void {
    if (this.#closeInfo !== undefined) return;
    this.#end({ source: "local", code, reason });
    this.#wire.schedule(this.#wire.latencyMs, () => this.#peer.#end({ source: "peer-application", code, reason }));
  }

  /** Ends both sides as if the path had died. */
  vanish(): void {
    for (const end of [this, this.#peer]) end.#end({ source: "idle-timeout", code: 0, reason: "timed out" });
  }

  #end(info: CloseInfo): void {
    if (this.#closeInfo !== undefined) return;
    this.#closeInfo = info;
    for (const stream of this.#streams) stream.connectionClosed();
    this.#streams.clear();
    const error = closedError(info);
    for (const waiter of [...this.#waiters.bidi, ...this.#waiters.uni]) waiter.reject(error);
    this.#waiters.bidi.length = 0;
    this.#waiters.uni.length = 0;
    this.#settleClosed(info);
  }

  #open(kind: StreamKind): Promise<FakeStream> {
    return new Promise((resolve, reject) => {
      if (this.#closeInfo !== undefined) reject(closedError(this.#closeInfo));
      else {
        this.#waiters[kind].push({ resolve, reject });
        this.#serveWaiters(kind);
      }
    });
  }

  #serveWaiters(kind: StreamKind): void {
    while (this.#openNow[kind] < this.#wire.maxStreams[kind]) {
      const waiter = this.#waiters[kind].shift();
      if (waiter === undefined) return;
      waiter.resolve(this.#create(kind));
    }
  }

  /** RFC 9000 section 2.1: bit 0 says who opened the stream, bit 1 that it has one direction. */
  #create(kind: StreamKind): FakeStream {
    const id = this.#opened[kind]++ * 4 + (kind === "uni" ? 2 : 0) + (this.#role === "server" ? 1 : 0);
    this.#openNow[kind]++;
    const out = new FakePipe(this.#wire.pipe, (bytes) => this.#countSent(bytes));
    const back = kind === "bidi" ? new FakePipe(this.#wire.pipe, (bytes) => this.#peer.#countSent(bytes)) : undefined;
    const mine = this.#track(new FakeStream(id, kind === "bidi" ? "bidi" : "uni-out", back, out));
    let announced = false;
    out.onFirstArrival = () => {
      if (announced || this.#peer.#closeInfo !== undefined) return;
      announced = true;
      this.#peer.#announce(id, kind === "bidi" ? "bidi" : "uni-in", out, back);
    };
    let ended = 0;
    const pipeEnded = (): void => {
      if (++ended < (back === undefined ? 1 : 2)) return;
      this.#streams.delete(mine);
      this.#openNow[kind]--;
      if (this.#closeInfo === undefined) this.#serveWaiters(kind);
    };
    out.onEnded = pipeEnded;
    if (back !== undefined) back.onEnded = pipeEnded;
    return mine;
  }

  #track(stream: FakeStream): FakeStream {
    this.#streams.add(stream);
    return stream;
  }

  /** The peer's stream becomes known with its first bytes, as in QUIC. */
  #announce(id: number, direction: StreamDirection, input: FakePipe, output: FakePipe | undefined): void {
    this.#arrivals.push(this.#track(new FakeStream(id, direction, input, output)));
    this.#handOver();
  }

  #handOver(): void {
    while (this.#onStream !== undefined) {
      const stream = this.#arrivals.shift();
      if (stream === undefined) return;
      this.#onStream(stream);
    }
  }

  #receiveDatagram(datagram: Uint8Array): void {
    if (this.#closeInfo !== undefined || this.#datagrams.length >= this.#wire.datagramQueue) return;
    this.#receivedBytes += datagram.length;
    this.#datagrams.push(datagram);
    if (!this.#datagramsArmed) return;
    this.#datagramsArmed = false;
    this.onDatagrams?.();
  }

  #countSent(bytes: number): void {
    this.#sentBytes += bytes;
    this.#peer.#receivedBytes += bytes;
  }
}

function closedError(info: CloseInfo): ZgateError {
  return new ZgateError(
    "ZG_CONNECTION_CLOSED",
    `the connection is closed (${info.source}, code ${info.code}): ${info.reason}`,
  );
}

const timerSchedule: Schedule = (delayMs, task) => {
  const timer = setTimeout(task, delayMs);
  return () => clearTimeout(timer);
};
