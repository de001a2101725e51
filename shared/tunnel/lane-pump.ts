/**
 * The receiving side of all lanes of a process: they take turns at one slab.
 *
 *   stream readable ▸ load the kept part of a frame ▸ read behind it ▸ hand on the whole frames ▸ keep the rest
 *
 * A lane that has more than its turn waits behind the others, so that no session's flood delays another's
 * packets for longer than one turn.
 */
import { READ_RESET } from "../native/quic.ts";
import { SLAB_HEADROOM, TURN_READS } from "./constants.ts";
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

class Lane {
  readonly source: LaneSource;
  readonly reader: FrameReader;
  readonly sink: FrameSink;
  waiting = false;

  constructor(source: LaneSource, maxLength: number, sink: FrameSink) {
    this.source = source;
    this.reader = new FrameReader(maxLength);
    this.sink = sink;
  }
}

export class LanePump {
  readonly #slab = newSlab();
  #waiting: Lane[] = [];
  #scheduled = false;

  /** Reads frames of at most `maxLength` bytes from `source` from now on. */
  attach(source: LaneSource, maxLength: number, sink: FrameSink): void {
    const lane = new Lane(source, maxLength, sink);
    source.onReadable = () => this.#turn(lane);
    this.#wait(lane);
  }

  #turn(lane: Lane): void {
    if (lane.waiting) return;
    for (let reads = 0; reads < TURN_READS; reads++) {
      if (!this.#read(lane)) return;
    }
    this.#wait(lane);
  }

  /** False when the lane has nothing more for now, or for ever. */
  #read(lane: Lane): boolean {
    const { source, reader, sink } = lane;
    const at = reader.load(this.#slab, SLAB_HEADROOM);
    const bytes = source.readBody(this.#slab, at, this.#slab.length);
    if (bytes === 0) return false;
    if (bytes < 0) {
      source.onReadable = undefined;
      if (bytes === READ_RESET) sink.ended("the peer reset the lane");
      else if (reader.pending === 0) sink.ended("the peer ended the lane");
      else sink.broken(`the lane ended ${reader.pending} bytes into a frame`);
      return false;
    }
    reader.scan(at + bytes);
    sink.frames(this.#slab, SLAB_HEADROOM, reader);
    reader.skip();
    reader.keep();
    if (reader.fault === undefined) return true;
    source.onReadable = undefined;
    sink.broken(reader.fault);
    return false;
  }

  #wait(lane: Lane): void {
    lane.waiting = true;
    this.#waiting.push(lane);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#round());
  }

  #round(): void {
    const round = this.#waiting;
    this.#waiting = [];
    this.#scheduled = false;
    for (const lane of round) {
      lane.waiting = false;
      this.#turn(lane);
    }
  }
}
