/**
 * The raw functions of the Rust addon, as `native/src` exports them. Only the files beside this one use
 * them: everything else is written against `quic.ts` and `tun.ts`.
 */
import type { CloseSource, ConnectionStats, EndpointOptions, StreamDirection, TlsMaterial } from "./quic.ts";
import type { OffloadFinding, TunFeatures, TunStats } from "./tun.ts";

/**
 * What became ready, in the second word of a drained pair (`native/src/quic/mailbox.rs`). A connection has
 * edges of one kind only, its datagrams.
 */
export const EDGE_READABLE = 1;
export const EDGE_WRITABLE = 2;
/** In the result of a stream's `read`: the queue is empty now, and an edge will come (`native/src/quic/receive.rs`). */
export const READ_ARMED = 2 ** 30;
/** In the result of `drain`: notices wait (`native/src/quic/endpoint.rs`). */
export const NOTICES_WAIT = 2 ** 31;

export interface NativeStream {
  /** Names the stream in `drain`. */
  readonly token: number;
  /** Names the stream in `NativeEndpointFunctions`, as long as this object lives. */
  readonly place: number;
  readonly id: number;
  readonly direction: StreamDirection;
  readonly resetCode: number;
  readonly stopCode: number;
  finish(): void;
  reset(code: number): void;
  stop(code: number): void;
}

export interface NativeConnection {
  /** Names the connection in `drain` and in notices. */
  readonly token: number;
  readonly alpn: string;
  readonly keyExchangeGroup: string;
  readonly cipherSuite: string;
  readonly maxDatagramSize: number;
  /** The peer's chain, leaf first; empty from the second call on. */
  takeChain(): Uint8Array[];
  /** Answered by an `opened` or `openFailed` notice. */
  open(ticket: number, bidi: boolean): void;
  sendDatagram(slab: Uint8Array, from: number, to: number): boolean;
  readDatagrams(slab: Uint8Array, from: number, to: number): number;
  stats(): (ConnectionStats & { readonly remote: string }) | null;
  close(code: number, reason: string): void;
}

/** `source`, `code` and `detail` say how the connection ended, when there was one. */
export type NativeConnectFailure = {
  readonly kind: "connectFailed";
  readonly ticket: number;
  readonly errorCode: string;
  readonly reason: string;
} & (
  | { readonly source: CloseSource; readonly code: number; readonly detail: string }
  | { readonly source?: undefined }
);

/** A rare event (`native_notice` in `native/src/quic/endpoint.rs`). */
export type NativeNotice =
  | { readonly kind: "accepted"; readonly connection: NativeConnection }
  | { readonly kind: "connected"; readonly ticket: number; readonly connection: NativeConnection }
  | NativeConnectFailure
  | {
      readonly kind: "refused";
      readonly remote: string;
      readonly source: CloseSource;
      readonly code: number;
      readonly reason: string;
    }
  | { readonly kind: "stream"; readonly token: number; readonly stream: NativeStream }
  | { readonly kind: "opened"; readonly ticket: number; readonly stream: NativeStream }
  | { readonly kind: "openFailed"; readonly ticket: number; readonly reason: string }
  | {
      readonly kind: "closed";
      readonly token: number;
      readonly source: CloseSource;
      readonly code: number;
      readonly reason: string;
    }
  | { readonly kind: "endpointClosed" }
  | { readonly kind: "panicked"; readonly reason: string };

/**
 * What happens with each packet: functions that know their object (`native/src/functions.rs`), which take a sixth of
 * the instructions of a method.
 */
export interface NativeEndpointFunctions {
  /**
   * Answers the doorbell: fills `records` with pairs `token, EDGE_…`; returns the words filled, plus NOTICES_WAIT
   * when `nextNotice` has something. What happens from here on rings again.
   */
  drain(records: Uint32Array): number;
  read(stream: number, slab: Uint8Array, from: number, to: number): number;
  write(stream: number, slab: Uint8Array, from: number, to: number): number;
  writev(stream: number, slab: Uint8Array, ranges: Uint32Array, count: number): number;
}

export interface NativeEndpoint {
  readonly localAddress: string;
  readonly retries: number;
  readonly untoldRefusals: number;
  setServerTls(tls: TlsMaterial): void;
  /** Answered by a `connected` or `connectFailed` notice. */
  connect(ticket: number, remote: string, serverName: string, tls: TlsMaterial): void;
  rebind(bind: string): void;
  nextNotice(): NativeNotice | null;
  /** Made by this call. */
  functions(): NativeEndpointFunctions;
  /** Answered by an `endpointClosed` notice, the last one. */
  close(code: number, reason: string): void;
  /** Frees what `endpointClosed` left over. */
  dispose(): void;
  /** Ends the endpoint now, peers told: for the end of the process. */
  exit(): void;
}

/** As `NativeEndpointFunctions`. */
export interface NativeTunFunctions {
  read(slab: Uint8Array, from: number, to: number): number;
  write(slab: Uint8Array, from: number, to: number, queue: number): number;
}

export interface NativeTun {
  readonly features: TunFeatures;
  offloadFindings(): OffloadFinding[];
  watch(on: boolean): void;
  /** Made by this call. */
  functions(): NativeTunFunctions;
  stats(): TunStats;
  close(): void;
}

export interface NativeAddon {
  /** Of the calling thread. */
  dropPrivileges(kept: number): void;
  /** A descriptor that is inherited, or -1. */
  loadSteering(): number;
  readonly NativeEndpoint: {
    open(options: EndpointOptions, doorbell: (token: number, bits: number) => void): NativeEndpoint;
  };
  readonly NativeTun: {
    open(
      name: string,
      mtu: number,
      offload: boolean,
      queues: number,
      steering: number | undefined,
      readable: () => void,
    ): NativeTun;
  };
}
