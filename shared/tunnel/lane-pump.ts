/**
 * The receiving side of all lanes of a process: they take turns at one slab.
 *
 *   stream readable ▸ load the kept part of a frame ▸ read behind it ▸ hand on the whole frames ▸ keep the rest
 *
 * The lanes of a session share its turn. When that is over they wait behind the other sessions, and whatever else
 * the process has to do comes first, so that no session's flood delays another's packets for longer than one turn.
 * Frames that a turn was too short for are kept, and the session's next turn begins with them: one slab a session.
 */
import { performance } from "node:perf_hooks";

import { READ_RESET } from "../native/quic.ts";
import {
  CUT_PACKETS_PER_FRAME,
  FIRST_READ_BYTES,
  FRAME_WORK_BYTES,
  LEAST_READ_BYTES,
  SLAB_BYTES,
  SLAB_HEADROOM,
  TURN_BYTES,
  TURN_MS,
} from "./constants.ts";
import { FrameReader } from "./frame.ts";
import { newSlab } from "./slab.ts";

/** What a lane needs of its HTTP/3 stream. The pump takes over `onReadable`. */
export interface LaneSource {
  readBody(slab: Uint8Array, from: number, to: number): number;
  onReadable: (() => void) | undefined;
}

/** Where a lane's frames go. */
export interface FrameSink {
  /**
   * Whole frames begin at `slab[from]`; `reader` walks them (`next`, `skip`). The slab is valid during the call
   * and may be changed.
   */
  frames(slab: Uint8Array, from: number, reader: FrameReader): void;
  /** Called once: the peer ended or reset the lane between two frames. */
  ended(reason: string): void;
  /** Called once, instead of `ended`: the peer broke the framing, which ends the session. */
  broken(reason: string): void;
}

/** Whose turn it is: one for all lanes of a session. */
export class LaneTurns {
  /** Lanes that have more than the last turn took. */
  readonly waiting: Lane[] = [];
  /** Work done in this turn, bytes. */
  spent = 0;
  /** When it began, milliseconds. */
  sinceMs = 0;
  queued = false;
}

class Lane {
  readonly source: LaneSource;
  readonly reader: FrameReader;
  readonly sink: FrameSink;
  readonly turns: LaneTurns;
  waiting = false;
  /** What the next read takes at most, bytes. */
  reach = FIRST_READ_BYTES;

  constructor(source: LaneSource, maxLength: number, sink: FrameSink, turns: LaneTurns) {
    this.source = source;
    this.reader = new FrameReader(maxLength);
    this.sink = sink;
    this.turns = turns;
  }
}

export class LanePump {
  readonly #slab = newSlab();
  /** Those that have lanes waiting, in the order of their turns. */
  readonly #queue: LaneTurns[] = [];
  readonly #nowMs: () => number;

  /** `nowMs`: a monotonic clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Reads frames of at most `maxLength` bytes from `source` from now on. */
  attach(source: LaneSource, maxLength: number, sink: FrameSink, turns = new LaneTurns()): void {
    const lane = new Lane(source, maxLength, sink, turns);
    source.onReadable = () => {
      if (lane.waiting) return;
      if (turns.waiting.length > 0) {
        this.#wait(lane);
        return;
      }
      // Who needs little never waits behind those who need much.
      const nowMs = this.#nowMs();
      if (nowMs - turns.sinceMs >= TURN_MS) begin(turns, nowMs);
      this.#read(lane);
    };
    this.#wait(lane);
  }

  /** Reads until the lane has nothing more for now, or for ever, or the turn is over. */
  #read(lane: Lane): void {
    const { source, reader, sink, turns } = lane;
    while (turns.spent < TURN_BYTES) {
      const holds = reader.holdsFrame;
      const at = reader.load(this.#slab, SLAB_HEADROOM);
      const bytes = holds ? 0 : source.readBody(this.#slab, at, Math.min(at + lane.reach, this.#slab.length));
      if (bytes === 0 && !holds) return;
      if (bytes < 0) {
        source.onReadable = undefined;
        if (bytes === READ_RESET) sink.ended("the peer reset the lane");
        else if (reader.pending === 0) sink.ended("the peer ended the lane");
        else sink.broken(`the lane ended ${reader.pending} bytes into a frame`);
        return;
      }
      reader.scan(at + bytes, Math.ceil((TURN_BYTES - turns.spent) / FRAME_WORK_BYTES));
      sink.frames(this.#slab, SLAB_HEADROOM, reader);
      const taken = reader.skip() - SLAB_HEADROOM;
      reader.keep();
      if (reader.fault !== undefined) {
        source.onReadable = undefined;
        sink.broken(reader.fault);
        return;
      }
      const frames = 1 + reader.count + reader.cutPackets / CUT_PACKETS_PER_FRAME;
      const work = Math.max(taken, frames * FRAME_WORK_BYTES);
      turns.spent += work;
      const next = reader.holdsFrame ? taken : 2 * lane.reach;
      const fitting = reader.cutPackets === 0 ? next : Math.min(next, Math.floor((taken * TURN_BYTES) / work));
      lane.reach = Math.min(Math.max(fitting, LEAST_READ_BYTES), SLAB_BYTES);
    }
    this.#wait(lane);
  }

  #wait(lane: Lane): void {
    const { turns } = lane;
    lane.waiting = true;
    if (lane.reader.holdsFrame) turns.waiting.unshift(lane);
    else turns.waiting.push(lane);
    if (turns.queued) return;
    turns.queued = true;
    if (this.#queue.push(turns) === 1) setImmediate(() => this.#turn());
  }

  /** The turn of the session that has waited for longest; its lanes go on where the last turn ended. */
  #turn(): void {
    const turns = this.#queue[0]!;
    begin(turns, this.#nowMs());
    try {
      while (turns.spent < TURN_BYTES) {
        const lane = turns.waiting.shift();
        if (lane === undefined) break;
        lane.waiting = false;
        this.#read(lane);
      }
    } finally {
      this.#queue.shift();
      turns.queued = turns.waiting.length > 0;
      if (turns.queued) this.#queue.push(turns);
      if (this.#queue.length > 0) setImmediate(() => this.#turn());
    }
  }
}

function begin(turns: LaneTurns, nowMs: number): void {
  turns.spent = 0;
  turns.sinceMs = nowMs;
}
