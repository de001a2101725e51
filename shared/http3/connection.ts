/**
 * HTTP/3 (RFC 9114) on one QUIC connection, either side.
 *
 *   our control stream: SETTINGS, GOAWAY          peer's unidirectional streams ▸ PeerStreams
 *   request streams ▸ Http3Stream                 QUIC datagrams ▸ quarter stream id ▸ Http3Stream
 *
 * We open no QPACK streams of our own: with a table of size 0 there is nothing to say on them (RFC 9204
 * section 4.2 allows that).
 */
import { ZgateError } from "../errors.ts";
import type { CloseInfo, QuicConnection, QuicStream } from "../native/quic.ts";
import {
  HEADERS_TIMEOUT_MS,
  MAX_FIELD_SECTION_SIZE,
  MAX_PENDING_REQUESTS,
  MAX_STREAMS_A_WINDOW,
  RESPONSE_TIMEOUT_MS,
  SETTINGS_TIMEOUT_MS,
  STREAM_WINDOW_MS,
} from "./constants.ts";
import { DatagramReceiver } from "./datagram-receiver.ts";
import { connectionFault, type Http3Error } from "./fault.ts";
import { malformation } from "./field-rules.ts";
import { fieldSectionSize, fieldValue, type Fields } from "./fields.ts";
import { LocalControl } from "./local-control.ts";
import { PeerStreams } from "./peer-streams.ts";
import { systemSchedule, type Schedule } from "./schedule.ts";
import type { Http3Settings } from "./settings.ts";
import { HTTP3_CODE, http3CodeName } from "./spec.ts";
import type { RequestOptions, StreamOwner } from "./stream-owner.ts";
import { StreamQuota } from "./stream-quota.ts";
import { Http3Stream } from "./stream.ts";

export interface Http3Limits {
  /** Of the field sections that we take, in bytes as RFC 9114 section 4.2.2 counts them. */
  readonly maxFieldSectionSize: number;
  /** Server: request streams open and unanswered; more are rejected. */
  readonly maxPendingRequests: number;
  readonly settingsTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly responseTimeoutMs: number;
}

export interface Http3Options {
  readonly limits?: Partial<Http3Limits>;
  /** Where time comes from: Node's timers when not given. */
  readonly schedule?: Schedule;
}

const DEFAULT_LIMITS: Http3Limits = {
  maxFieldSectionSize: MAX_FIELD_SECTION_SIZE,
  maxPendingRequests: MAX_PENDING_REQUESTS,
  settingsTimeoutMs: SETTINGS_TIMEOUT_MS,
  headersTimeoutMs: HEADERS_TIMEOUT_MS,
  responseTimeoutMs: RESPONSE_TIMEOUT_MS,
};

/** RFC 9000 section 2.1: ids of one kind of stream are this far apart. */
const STREAM_ID_STEP = 4;

type Cancel = () => void;

export class Http3Connection {
  readonly quic: QuicConnection;
  readonly role: "client" | "server";
  /** Server: called for each request whose HEADERS are whole and valid. Without it they get 501. */
  onRequest: ((stream: Http3Stream) => void) | undefined;
  /** The peer takes no new requests; client: those of `id` and above were not processed and can be repeated elsewhere. */
  onGoaway: ((id: number) => void) | undefined;
  /** Resolves with the peer's SETTINGS; rejects when the connection ends before they came, or they took too long. */
  readonly peerSettings: Promise<Http3Settings>;

  readonly #limits: Http3Limits;
  readonly #schedule: Schedule;
  readonly #owner: StreamOwner;
  readonly #control: LocalControl;
  readonly #settings = Promise.withResolvers<Http3Settings>();
  readonly #settingsDeadline: Cancel;
  readonly #quota: StreamQuota;
  #peer: Http3Settings | undefined;
  readonly #streams = new Map<number, Http3Stream>();
  /** Server: unanswered requests, with the deadline of their HEADERS. */
  readonly #pending = new Map<Http3Stream, Cancel>();
  /** Server: the lowest request stream id that was not accepted yet. */
  #nextRequestId = 0;
  /** Server: where our GOAWAY drew the line. Client: where the peer's did. */
  #lastRequestId = Infinity;

  constructor(quic: QuicConnection, role: "client" | "server", options: Http3Options = {}) {
    this.quic = quic;
    this.role = role;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#schedule = options.schedule ?? systemSchedule;
    this.#owner = this.#streamOwner();
    this.peerSettings = this.#settings.promise;
    this.peerSettings.catch(() => {});
    this.#settingsDeadline = this.#schedule(this.#limits.settingsTimeoutMs, () => {
      this.#fail(connectionFault("H3_MISSING_SETTINGS", `no SETTINGS within ${this.#limits.settingsTimeoutMs} ms`));
    });
    const onFault = (fault: Http3Error): void => this.#fail(fault);
    this.#control = new LocalControl(quic, this.#limits.maxFieldSectionSize, onFault);
    const peerStreams = new PeerStreams(
      role,
      { onFault, onSettings: (settings) => this.#onSettings(settings), onGoaway: (id) => this.#onPeerGoaway(id) },
      this.#schedule,
    );
    this.#quota = new StreamQuota(this.#schedule);
    quic.onStream = (stream) => {
      if (!this.#quota.take()) {
        const many = `more than ${MAX_STREAMS_A_WINDOW} streams within ${STREAM_WINDOW_MS} ms`;
        onFault(connectionFault("H3_EXCESSIVE_LOAD", many));
      } else if (stream.direction === "uni-in") peerStreams.accept(stream);
      else this.#acceptRequest(stream);
    };
    new DatagramReceiver(quic, this.#schedule, (id) => this.#streams.get(id), onFault).start();
    void quic.closed.then((info) => this.#onClosed(info));
  }

  get closed(): Promise<CloseInfo> {
    return this.quic.closed;
  }

  /**
   * Client: sends a request; resolves when the final response's HEADERS came. Rejects with an `Http3Error`
   * (the peer's or our own stream error) or another `ZgateError` (no connection, GOAWAY, extended CONNECT not
   * offered, no answer in time); with a `TypeError` when `fields` are no well-formed request.
   */
  async request(fields: Fields, options: RequestOptions = {}): Promise<Http3Stream> {
    if (this.role === "server") throw new TypeError("a server makes no requests");
    const wrong = malformation("request", fields);
    if (wrong !== undefined) throw new TypeError(`request: ${wrong}`);
    if (fieldValue(fields, ":protocol") !== undefined && !(await this.peerSettings).enableConnectProtocol) {
      throw new ZgateError("ZG_HTTP3", "the peer does not offer extended CONNECT (RFC 9220)");
    }
    if (fieldSectionSize(fields) > (this.#peer?.maxFieldSectionSize ?? Infinity)) {
      throw new ZgateError("ZG_HTTP3", "the request's fields are larger than the peer takes");
    }
    const deadline = this.#responseDeadline();
    try {
      const stream = new Http3Stream(this.#owner, await this.#openRequest(deadline.expired));
      this.#streams.set(stream.id, stream);
      deadline.expired.catch((late: Error) => stream.cancel(late));
      stream.send(fields, options);
      options.onSent?.(stream);
      await stream.answered;
      return stream;
    } finally {
      deadline.cancel();
    }
  }

  /**
   * Announces that no further requests are taken, and takes none: a server rejects those that come with
   * H3_REQUEST_REJECTED, what is in progress goes on. Idempotent.
   */
  goaway(): void {
    if (this.role === "client") return this.#control.sendGoaway(0);
    this.#lastRequestId = Math.min(this.#lastRequestId, this.#nextRequestId);
    this.#control.sendGoaway(this.#lastRequestId);
  }

  /** CONNECTION_CLOSE with an HTTP/3 error code. Idempotent. */
  close(code: number, reason: string): void {
    this.quic.close(code, reason);
  }

  /** Waits for the peer's stream limit; a stream that comes too late is given back. */
  async #openRequest(expired: Promise<never>): Promise<QuicStream> {
    this.#refuseAfterGoaway();
    const opening = this.quic.openBidi();
    const stream = await Promise.race([opening, expired]).catch((error: unknown) => {
      opening.then(giveBack, () => {});
      throw error;
    });
    try {
      this.#refuseAfterGoaway();
    } catch (error) {
      giveBack(stream);
      throw error;
    }
    return stream;
  }

  /** A GOAWAY was exchanged: no new requests. */
  get drained(): boolean {
    return this.#lastRequestId !== Infinity;
  }

  #refuseAfterGoaway(): void {
    if (this.drained) throw new ZgateError("ZG_CONNECTION_CLOSED", "the peer takes no new requests (GOAWAY)");
  }

  #responseDeadline(): { expired: Promise<never>; cancel: Cancel } {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    const ms = this.#limits.responseTimeoutMs;
    const cancel = this.#schedule(ms, () =>
      reject(new ZgateError("ZG_HTTP3", `the peer did not answer within ${ms} ms`)),
    );
    return { expired: promise, cancel };
  }

  #acceptRequest(quicStream: QuicStream): void {
    if (this.role === "client") {
      // RFC 9114 section 6.1.
      return this.#fail(connectionFault("H3_STREAM_CREATION_ERROR", "a bidirectional stream that the server opened"));
    }
    if (quicStream.id >= this.#lastRequestId || this.#pending.size >= this.#limits.maxPendingRequests) {
      quicStream.stop(HTTP3_CODE.H3_REQUEST_REJECTED);
      quicStream.reset(HTTP3_CODE.H3_REQUEST_REJECTED);
      return;
    }
    this.#nextRequestId = Math.max(this.#nextRequestId, quicStream.id + STREAM_ID_STEP);
    const stream = new Http3Stream(this.#owner, quicStream);
    this.#streams.set(stream.id, stream);
    const late = (): void => stream.close(HTTP3_CODE.H3_REQUEST_REJECTED);
    this.#pending.set(stream, this.#schedule(this.#limits.headersTimeoutMs, late));
    stream.receive();
  }

  #streamOwner(): StreamOwner {
    return {
      role: this.role,
      maxFieldSectionSize: this.#limits.maxFieldSectionSize,
      schedule: this.#schedule,
      onHead: (stream) => this.#onHead(stream),
      onSettled: (stream) => this.#settle(stream),
      onDone: (stream) => {
        this.#settle(stream);
        this.#streams.delete(stream.id);
      },
      onConnectionFault: (fault) => this.#fail(fault),
      closedError: async () => closedError(await this.quic.closed),
      maxQuicDatagram: () => (this.#peer?.h3Datagram === true ? this.quic.maxDatagramSize : 0),
      sendDatagram: (slab, from, to) => this.#peer?.h3Datagram === true && this.quic.sendDatagram(slab, from, to),
    };
  }

  /** Server: the request no longer counts as unanswered. */
  #settle(stream: Http3Stream): void {
    this.#pending.get(stream)?.();
    this.#pending.delete(stream);
  }

  #onHead(stream: Http3Stream): void {
    if (this.role === "client") return;
    this.#pending.get(stream)?.();
    if (this.onRequest !== undefined) this.onRequest(stream);
    else stream.respond(501, [], { end: true });
  }

  #onSettings(settings: Http3Settings): void {
    this.#peer = settings;
    this.#settingsDeadline();
    this.#settings.resolve(settings);
  }

  #onPeerGoaway(id: number): void {
    if (this.role === "client") {
      this.#lastRequestId = id;
      for (const stream of this.#streams.values()) {
        if (stream.id >= id)
          stream.cancel(new ZgateError("ZG_CONNECTION_CLOSED", "the peer did not process the request (GOAWAY)"));
      }
    }
    this.onGoaway?.(id);
  }

  #fail(fault: Http3Error): void {
    this.quic.close(fault.http3Code, fault.message);
  }

  #onClosed(info: CloseInfo): void {
    this.#settingsDeadline();
    this.#quota.end();
    for (const cancel of this.#pending.values()) cancel();
    this.#pending.clear();
    this.#settings.reject(closedError(info));
  }
}

function giveBack(stream: QuicStream): void {
  stream.reset(HTTP3_CODE.H3_REQUEST_CANCELLED);
  stream.stop(HTTP3_CODE.H3_REQUEST_CANCELLED);
}

function closedError(info: CloseInfo): ZgateError {
  const transport = info.source === "peer-transport" || info.source === "transport";
  const code = transport ? `code 0x${info.code.toString(16)}` : http3CodeName(info.code);
  const why = info.reason === "" ? "" : `: ${info.reason}`;
  return new ZgateError("ZG_CONNECTION_CLOSED", `the connection is closed (${info.source}, ${code})${why}`);
}
