/**
 * The QUIC face that HTTP/3 and the tunnel are written against. `addon.ts` implements it with the Rust
 * addon; `fake-quic.ts` implements it in memory, with latency, for tests.
 *
 * Buffers: every method that takes a buffer copies synchronously and keeps no reference. The caller owns
 * the buffer before, during and after the call.
 *
 * Events: a handler is called from the event loop, never from inside another call of this interface.
 */

/** `read`: the peer finished the stream and every byte was read. */
export const READ_END = -1;
/** `read`: the peer reset the stream, or the connection is gone; `resetCode` says with which code. */
export const READ_RESET = -2;
/** `write`: the peer stopped the stream, or the stream or connection is closed. */
export const WRITE_CLOSED = -1;

export type StreamDirection = "bidi" | "uni-in" | "uni-out";

/** One QUIC stream (RFC 9000 section 2). */
export interface QuicStream {
  /** The QUIC stream id (RFC 9000 section 2.1). */
  readonly id: number;
  readonly direction: StreamDirection;
  /** The code of the peer's RESET_STREAM; -1 before, and when the connection went down instead. */
  readonly resetCode: number;
  /** The code of the peer's STOP_SENDING; -1 before. */
  readonly stopCode: number;

  /**
   * Copies received bytes into `slab[from, to)` and returns how many. 0: nothing there yet, `onReadable`
   * will be called. `READ_END` and `READ_RESET` are final.
   */
  read(slab: Uint8Array, from: number, to: number): number;

  /**
   * Takes all of `slab[from, to)` or nothing. Returns `to - from`; 0 when the send queue is above its high
   * water mark (`onWritable` will be called when it fell below the low one); `WRITE_CLOSED`.
   * At most `MAX_STREAM_WRITE` bytes a call.
   */
  write(slab: Uint8Array, from: number, to: number): number;

  /**
   * `write` of several pieces in one go: `ranges` holds `count` pairs `from, to` into `slab`, in the order
   * they go on the wire. All or nothing; returns the bytes taken, 0 or `WRITE_CLOSED` as `write` does.
   */
  writev(slab: Uint8Array, ranges: Uint32Array, count: number): number;

  /** Called once after a `read` returned 0, when there is something to read (data, end or reset). */
  onReadable: (() => void) | undefined;
  /** Called once after a `write` returned 0, when a write would be taken, or the stream was closed. */
  onWritable: (() => void) | undefined;

  /** Ends the sending side after what was written. Idempotent. */
  finish(): void;
  /** Abandons the sending side with RESET_STREAM. */
  reset(code: number): void;
  /** Asks the peer with STOP_SENDING to abandon its sending side. */
  stop(code: number): void;
}

/** The most bytes that one `write` or `writev` may carry. */
export const MAX_STREAM_WRITE = 1 << 20;

export type CloseSource = "local" | "peer-application" | "peer-transport" | "idle-timeout" | "reset" | "transport";

/** Why a connection ended. */
export interface CloseInfo {
  readonly source: CloseSource;
  /** The application or transport error code; a TLS alert A is 0x100 + A (RFC 9001 section 4.8). */
  readonly code: number;
  readonly reason: string;
}

export interface ConnectionStats {
  /** Smoothed round-trip time in milliseconds. */
  readonly rttMs: number;
  /** Congestion window in bytes. */
  readonly cwnd: number;
  readonly sentPackets: number;
  readonly lostPackets: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Current path MTU in bytes of UDP payload. */
  readonly mtu: number;
}

/** One QUIC connection whose handshake is complete, the peer's certificate verified. */
export interface QuicConnection {
  /** The verified chain as the peer sent it, DER, leaf first. Empty on a fake without TLS. */
  readonly peerChainDer: readonly Uint8Array[];
  readonly alpn: string;
  /** The TLS named group, such as `X25519MLKEM768`. */
  readonly keyExchangeGroup: string;
  /** The TLS cipher suite, such as `TLS13_AES_128_GCM_SHA256`. */
  readonly cipherSuite: string;
  /** `address:port` of the peer; changes when the peer migrates. */
  readonly remote: string;

  /** Resolves when the peer's stream limit allows one more stream. Rejects when the connection closes. */
  openBidi(): Promise<QuicStream>;
  openUni(): Promise<QuicStream>;
  /** Streams that the peer opened. Those that came before the handler was set are handed over when it is. */
  onStream: ((stream: QuicStream) => void) | undefined;

  /** The largest datagram that can be sent now, in bytes; 0 when the peer takes none (RFC 9221). */
  readonly maxDatagramSize: number;
  /** Queues `slab[from, to)` as one QUIC DATAGRAM. False: too large, or the queue is full; it is dropped. */
  sendDatagram(slab: Uint8Array, from: number, to: number): boolean;
  /** Fills `slab[from, to)` with whole `[u16 length][datagram]` records, a bounded number; returns the bytes filled, 0 = none. */
  readDatagrams(slab: Uint8Array, from: number, to: number): number;
  /** Called once after `readDatagrams` returned 0, when there is one to read. */
  onDatagrams: (() => void) | undefined;

  stats(): ConnectionStats;
  /** CONNECTION_CLOSE with an application code. Idempotent. */
  close(code: number, reason: string): void;
  /** Settles once, never rejects. */
  readonly closed: Promise<CloseInfo>;
}

/** Which TLS 1.3 groups are offered or accepted. */
export type KeyExchange = "prefer-pq" | "require-pq" | "classical";

/** PEM material of one side. Both sides present a certificate: the tunnel is mutual TLS. */
export interface TlsMaterial {
  /** Leaf first, then intermediates. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** The trust anchors for the peer. */
  readonly caPem: string;
  /** Certificate revocation lists for the peer's chain, PEM, possibly several. */
  readonly crlPem?: string;
  readonly keyExchange: KeyExchange;
}

/** A handshake that did not become a connection. */
export interface HandshakeRefusal extends CloseInfo {
  /** `address:port` of the peer. */
  readonly remote: string;
  /** As in `CloseInfo`; -1 when the peer vanished, -2 when its network has too many handshakes in progress. */
  readonly code: number;
}

/** Transport settings, all optional; the defaults are in the addon's one constants file. */
export interface TransportOptions {
  readonly idleTimeoutMs?: number;
  readonly keepAliveMs?: number;
  readonly maxBidiStreams?: number;
  readonly maxUniStreams?: number;
  /** Flow-control windows in bytes. */
  readonly streamReceiveWindow?: number;
  readonly connectionReceiveWindow?: number;
  readonly sendWindow?: number;
  /** The per-stream queue between `write` and QUIC, in bytes: the high water mark. */
  readonly streamSendQueue?: number;
  readonly congestion?: "cubic" | "bbr" | "newreno";
  /** UDP payload size that is sure to pass, in bytes, 1200 and up (RFC 9000 section 14). */
  readonly initialMtu?: number;
}

export interface EndpointOptions {
  /** `address:port` to bind; port 0 picks a free one. */
  readonly bind: string;
  /** Absent: the endpoint only connects out. */
  readonly server?: TlsMaterial;
  readonly alpn: readonly string[];
  readonly transport?: TransportOptions;
  /** Answer Initials with Retry (RFC 9000 section 8.1.2): always, or above this many handshakes in progress. */
  readonly retryAbove?: number;
  /** Handshakes in progress beyond which new ones are refused. */
  readonly maxHandshakes?: number;
  /** The same for the validated addresses of one network, an IPv4 /24 or an IPv6 /56. */
  readonly maxHandshakesPerPrefix?: number;
}

/** What an endpoint did to keep handshakes within their limits; both only grow. */
export interface HandshakeStats {
  /** Initials that were answered with Retry. */
  readonly retries: number;
  /** Refusals that `onRefused` was not told of, because too many waited already. */
  readonly untoldRefusals: number;
}

/** One UDP socket with its QUIC thread. */
export interface QuicEndpoint {
  /** `address:port` that is bound. */
  readonly localAddress: string;
  /** Handshakes from now on use this; sessions in progress are not touched. Throws `ZG_TLS_*` and changes nothing when it is wrong. */
  setServerTls(tls: TlsMaterial): void;
  /** Rejects with a `ConnectFailure` that says why (DNS is not resolved here: `remote` is `address:port`). */
  connect(remote: string, serverName: string, tls: TlsMaterial): Promise<QuicConnection>;
  /** Moves to another local address; connections migrate (RFC 9000 section 9). */
  rebind(bind: string): void;
  onConnection: ((connection: QuicConnection) => void) | undefined;
  onRefused: ((refusal: HandshakeRefusal) => void) | undefined;
  handshakeStats(): HandshakeStats;
  /** Closes every connection, waits until the peers were told (bounded), frees the socket and the thread. */
  close(code: number, reason: string): Promise<void>;
}
