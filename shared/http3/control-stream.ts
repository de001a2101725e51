/**
 * The peer's control stream (RFC 9114 section 6.2.1): SETTINGS first and once, then GOAWAY, MAX_PUSH_ID,
 * CANCEL_PUSH and frames that nobody knows. It ends with the connection.
 */
import { READ_END, READ_RESET, type QuicStream } from "../native/quic.ts";
import { VarintReader } from "../wire/varint.ts";
import { MAX_SETTINGS_BYTES } from "./constants.ts";
import { connectionFault } from "./fault.ts";
import { FrameReader, READY, frameName, isDefinedFrame } from "./frame-reader.ts";
import { parseSettings, type Http3Settings } from "./settings.ts";
import { FRAME } from "./spec.ts";

export interface ControlEvents {
  onSettings(settings: Http3Settings): void;
  /** The first request (server's GOAWAY) or push (client's) that will not be processed. */
  onGoaway(id: number): void;
}

/** Push IDs and stream IDs are one varint. */
const MAX_ID_BYTES = 8;

export class ControlStream {
  readonly #frames: FrameReader;
  readonly #role: "client" | "server";
  readonly #events: ControlEvents;
  #inFrame = false;
  #hasSettings = false;
  #payload: Uint8Array | undefined;
  #payloadHave = 0;
  #goaway = Infinity;
  #maxPushId = -1;

  /** `role` is ours: the stream is the other's. */
  constructor(stream: QuicStream, role: "client" | "server", events: ControlEvents) {
    this.#frames = new FrameReader(stream);
    this.#role = role;
    this.#events = events;
  }

  /** Reads what is there: 0, or READ_YIELD when there is more than one event's share. Throws connection faults. */
  read(): number {
    for (;;) {
      const step = this.#step();
      if (step === READ_END || step === READ_RESET) {
        throw connectionFault("H3_CLOSED_CRITICAL_STREAM", "the peer ended its control stream");
      }
      if (step !== READY) return step;
    }
  }

  #step(): number {
    if (!this.#inFrame) {
      const step = this.#frames.next();
      if (step !== READY) return step;
      this.#checkFrame(this.#frames.type);
      this.#inFrame = true;
    }
    const step = isDefinedFrame(this.#frames.type) ? this.#collect() : this.#frames.skip();
    if (step === READY) this.#inFrame = false;
    return step;
  }

  #checkFrame(type: number): void {
    if (!this.#hasSettings && type !== FRAME.SETTINGS) {
      throw connectionFault("H3_MISSING_SETTINGS", `${frameName(type)} came before SETTINGS`);
    }
    switch (type) {
      case FRAME.SETTINGS:
        if (this.#hasSettings) throw unexpected(type, "for the second time");
        return this.#checkLength(MAX_SETTINGS_BYTES, "H3_EXCESSIVE_LOAD");
      case FRAME.MAX_PUSH_ID:
        if (this.#role === "client") throw unexpected(type, "from a server");
        return this.#checkLength(MAX_ID_BYTES, "H3_FRAME_ERROR");
      case FRAME.GOAWAY:
      case FRAME.CANCEL_PUSH:
        return this.#checkLength(MAX_ID_BYTES, "H3_FRAME_ERROR");
      default:
        if (isDefinedFrame(type)) throw unexpected(type, "on the control stream");
    }
  }

  #checkLength(most: number, code: "H3_EXCESSIVE_LOAD" | "H3_FRAME_ERROR"): void {
    const { type, remaining } = this.#frames;
    if (remaining > most) throw connectionFault(code, `${frameName(type)} of ${remaining} bytes, the most is ${most}`);
  }

  /** Reads the payload whole, then acts on it. */
  #collect(): number {
    if (this.#payload === undefined) {
      this.#payload = new Uint8Array(this.#frames.remaining);
      this.#payloadHave = 0;
    }
    const payload = this.#payload;
    while (this.#payloadHave < payload.length) {
      const got = this.#frames.readPayload(payload, this.#payloadHave, payload.length);
      if (got <= 0) return got;
      this.#payloadHave += got;
    }
    this.#payload = undefined;
    this.#act(this.#frames.type, payload);
    return READY;
  }

  #act(type: number, payload: Uint8Array): void {
    if (type === FRAME.SETTINGS) {
      this.#hasSettings = true;
      this.#events.onSettings(parseSettings(payload));
      return;
    }
    const id = onlyVarint(type, payload);
    if (type === FRAME.GOAWAY) this.#receiveGoaway(id, payload);
    else if (type === FRAME.MAX_PUSH_ID) this.#receiveMaxPushId(id);
    // RFC 9114 section 7.2.3: no push was promised, nor allowed, so there is none to cancel.
    else throw connectionFault("H3_ID_ERROR", "a CANCEL_PUSH frame for a push that was never promised");
  }

  /** RFC 9114 section 7.2.6: a server names a client's request stream, a client a push; it never rises. */
  #receiveGoaway(id: number, payload: Uint8Array): void {
    const lastByte = payload[payload.length - 1]!;
    if (this.#role === "client" && (lastByte & 3) !== 0) {
      throw connectionFault("H3_ID_ERROR", `a GOAWAY frame names stream ${id}, which is no request stream`);
    }
    if (id > this.#goaway) throw connectionFault("H3_ID_ERROR", `a GOAWAY frame rises from ${this.#goaway} to ${id}`);
    this.#goaway = id;
    this.#events.onGoaway(id);
  }

  /** RFC 9114 section 7.2.7: it never falls. We push nothing, so that is all there is to it. */
  #receiveMaxPushId(id: number): void {
    if (id < this.#maxPushId) {
      throw connectionFault("H3_ID_ERROR", `a MAX_PUSH_ID frame falls from ${this.#maxPushId} to ${id}`);
    }
    this.#maxPushId = id;
  }
}

const varint = new VarintReader();

function onlyVarint(type: number, payload: Uint8Array): number {
  if (!varint.read(payload, 0, payload.length) || varint.next !== payload.length) {
    throw connectionFault("H3_FRAME_ERROR", `${frameName(type)} whose payload is not one varint`);
  }
  return varint.value;
}

function unexpected(type: number, where: string): Error {
  return connectionFault("H3_FRAME_UNEXPECTED", `${frameName(type)} ${where}`);
}
