/**
 * The unidirectional streams that the peer opens (RFC 9114 section 6.2): each says its type first.
 *
 *   type ▸ control | QPACK encoder | QPACK decoder: once each, read until the connection ends
 *        ▸ push: an error, for none was allowed     ▸ unknown: stopped
 */
import { READ_END, READ_RESET, type QuicStream } from "../native/quic.ts";
import { VarintReader, varintSizeFrom } from "../wire/varint.ts";
import { INSTRUCTION_READS_PER_TURN, MAX_UNTYPED_STREAMS } from "./constants.ts";
import { ControlStream, type ControlEvents } from "./control-stream.ts";
import { Http3Error, connectionFault } from "./fault.ts";
import { READ_YIELD } from "./frame-reader.ts";
import { DecoderInstructions, checkEncoderInstructions } from "./qpack-instructions.ts";
import type { Schedule } from "./schedule.ts";
import { HTTP3_CODE, STREAM_TYPE } from "./spec.ts";

export interface PeerStreamEvents extends ControlEvents {
  /** The peer broke the protocol: the connection is to be closed. */
  onFault(fault: Http3Error): void;
}

/** Reads what a stream has: 0 when its `onReadable` will tell of more, READ_YIELD when there is more now. */
type Read = () => number;

const scratch = new Uint8Array(4 * 1024);

const varint = new VarintReader();

export class PeerStreams {
  readonly #role: "client" | "server";
  readonly #events: PeerStreamEvents;
  readonly #schedule: Schedule;
  readonly #critical = new Set<number>();
  #untyped = 0;

  constructor(role: "client" | "server", events: PeerStreamEvents, schedule: Schedule) {
    this.#role = role;
    this.#events = events;
    this.#schedule = schedule;
  }

  accept(stream: QuicStream): void {
    if (this.#untyped === MAX_UNTYPED_STREAMS) {
      const many = `more than ${MAX_UNTYPED_STREAMS} unidirectional streams that do not say their type`;
      this.#events.onFault(connectionFault("H3_EXCESSIVE_LOAD", many));
      return;
    }
    this.#untyped++;
    const header = new Uint8Array(8);
    let have = 0;
    let need = 1;
    this.#drive(stream, () => {
      while (have < need) {
        const got = stream.read(header, have, need);
        // Section 6.2: a stream may end before it said its type.
        if (got === READ_END || got === READ_RESET) this.#untyped--;
        if (got <= 0) return 0;
        have += got;
        need = varintSizeFrom(header[0]!);
      }
      this.#untyped--;
      varint.read(header, 0, have);
      this.#begin(stream, varint.value);
      return 0;
    });
  }

  #begin(stream: QuicStream, type: number): void {
    switch (type) {
      case STREAM_TYPE.CONTROL: {
        this.#claim(type, "control");
        const control = new ControlStream(stream, this.#role, this.#events);
        this.#drive(stream, () => control.read());
        return;
      }
      case STREAM_TYPE.QPACK_ENCODER:
        this.#claim(type, "QPACK encoder");
        this.#drive(stream, () => readInstructions(stream, (to) => checkEncoderInstructions(scratch, 0, to)));
        return;
      case STREAM_TYPE.QPACK_DECODER: {
        this.#claim(type, "QPACK decoder");
        const instructions = new DecoderInstructions();
        this.#drive(stream, () => readInstructions(stream, (to) => instructions.check(scratch, 0, to)));
        return;
      }
      case STREAM_TYPE.PUSH:
        // RFC 9114 section 6.2.2: a client never pushes; a server's push ID is above all we allowed, for that is none.
        if (this.#role === "server") throw connectionFault("H3_STREAM_CREATION_ERROR", "a push stream from a client");
        throw connectionFault("H3_ID_ERROR", "a push stream, and no push was allowed");
      default:
        stream.onReadable = undefined;
        stream.stop(HTTP3_CODE.H3_STREAM_CREATION_ERROR);
    }
  }

  #claim(type: number, name: string): void {
    if (this.#critical.has(type)) {
      throw connectionFault("H3_STREAM_CREATION_ERROR", `a second ${name} stream`);
    }
    this.#critical.add(type);
  }

  /** Runs `read` now and whenever there is more. */
  #drive(stream: QuicStream, read: Read): void {
    const run = (): void => {
      try {
        if (read() === READ_YIELD) this.#schedule(0, run);
      } catch (thrown) {
        if (!(thrown instanceof Http3Error)) throw thrown;
        this.#events.onFault(thrown);
      }
    };
    stream.onReadable = run;
    run();
  }
}

function readInstructions(stream: QuicStream, check: (to: number) => void): number {
  for (let reads = 0; reads < INSTRUCTION_READS_PER_TURN; reads++) {
    const got = stream.read(scratch, 0, scratch.length);
    if (got === READ_END || got === READ_RESET) {
      throw connectionFault("H3_CLOSED_CRITICAL_STREAM", "the peer ended a QPACK stream");
    }
    if (got === 0) return 0;
    check(got);
  }
  return READ_YIELD;
}
