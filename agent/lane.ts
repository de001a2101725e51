/**
 * One lane of a session, from the agent's side:
 *
 *   not asked for ─ first frame, or `open` ─▶ asked for ─ HEADERS sent ─▶ frames out ─ 200 ─▶ frames in
 *
 * Frames follow the request without waiting for its answer (docs/protocol.md section 3). Until the request is sent the
 * lane is like a stream that takes no more for now, so the frames wait their turn and none overtakes another. A relay
 * that drains takes no new requests: what is for a lane that is not open by then goes into the first one.
 */
import { messageOf } from "../shared/errors.ts";
import type { Http3Connection } from "../shared/http3/connection.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { LanePump } from "../shared/tunnel/lane-pump.ts";
import type { LaneSink } from "../shared/tunnel/lane-sender.ts";
import { maxFrameLength } from "../shared/tunnel/negotiation.ts";
import type { SessionAgreement } from "../shared/tunnel/negotiation.ts";
import { lanePath } from "../shared/tunnel/request-path.ts";
import { checkStatus, connectFields } from "./connect-request.ts";
import type { Downlink } from "./downlink.ts";

export interface LaneOptions {
  /** `host:port`, for `:authority`. */
  readonly authority: string;
  readonly pump: LanePump;
  readonly downlink: Downlink;
}

export class Lane implements LaneSink {
  onWritable: (() => void) | undefined;

  readonly #http3: Http3Connection;
  readonly #number: number;
  readonly #agreement: SessionAgreement;
  readonly #options: LaneOptions;
  #opening: Promise<void> | undefined;
  /** There once the request was sent. */
  #stream: LaneSink | undefined;
  /** The lane that is open from the beginning; undefined when it is this one. */
  readonly #first: Lane | undefined;
  /** Lanes whose frames this one takes. */
  readonly #guests: Lane[] = [];

  constructor(
    http3: Http3Connection,
    number: number,
    agreement: SessionAgreement,
    options: LaneOptions,
    first: Lane | undefined,
  ) {
    this.#http3 = http3;
    this.#number = number;
    this.#agreement = agreement;
    this.#options = options;
    this.#first = first;
  }

  /** Resolves when the relay has it open; rejects as `Http3Connection.request`, or with `SessionRefused`. */
  open(): Promise<void> {
    this.#opening ??= this.#request();
    return this.#opening;
  }

  writeBody(slab: Uint8Array, from: number, to: number): number {
    return this.#stream === undefined ? this.#wait() : this.#stream.writeBody(slab, from, to);
  }

  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number {
    return this.#stream === undefined ? this.#wait() : this.#stream.writeBodyRuns(slab, ranges, count);
  }

  /** A lane that cannot be opened ends the session, like one that the peer ends, unless the relay drains. */
  #wait(): 0 {
    this.open().catch((thrown: unknown) => {
      if (this.#http3.drained && this.#stream === undefined && this.#first?.take(this) === true) return;
      this.#http3.close(HTTP3_CODE.H3_NO_ERROR, `lane ${this.#number}: ${messageOf(thrown)}`);
    });
    return 0;
  }

  async #request(): Promise<void> {
    const fields = connectFields("zgate-lane", this.#options.authority, lanePath(this.#number));
    const stream = await this.#http3.request(fields, { onSent: (sent) => this.#useStream(sent) });
    checkStatus(stream);
    this.#options.pump.attach(stream, maxFrameLength(this.#agreement), {
      frames: this.#options.downlink.writerFor(this.#agreement),
      ended: (reason) => this.#http3.close(HTTP3_CODE.H3_NO_ERROR, `lane ${this.#number}: ${reason}`),
      broken: (reason) => this.#http3.close(HTTP3_CODE.H3_MESSAGE_ERROR, `lane ${this.#number}: ${reason}`),
    });
  }

  /** Takes the frames of `guest` from now on, when this lane is open. */
  take(guest: Lane): boolean {
    const stream = this.#stream;
    if (stream === undefined) return false;
    this.#guests.push(guest);
    guest.#stream = stream;
    guest.onWritable?.();
    return true;
  }

  #useStream(stream: LaneSink): void {
    this.#stream = stream;
    stream.onWritable = () => this.#writable();
    this.#writable();
  }

  #writable(): void {
    this.onWritable?.();
    for (const guest of this.#guests) guest.onWritable?.();
  }
}
