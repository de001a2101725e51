/**
 * The sending side of one lane: runs of whole frames in, HTTP/3 DATA frames out.
 *
 *   slab ──runs──▶ stream               the usual way: one native write, no copy of ours
 *          └─────▶ backlog ──▶ stream   when QUIC takes no more: a short queue, sent when it does
 *
 * The backlog is bounded; a frame that finds it full is dropped and counted. A caller that can stop its
 * source (the agent's TUN) does so while `congested`; one that cannot (the relay's shared TUN) lets this lane
 * lose its own packets.
 */
import { WRITE_CLOSED } from "../native/quic.ts";
import { LANE_BACKLOG_BYTES, SLAB_HEADROOM } from "./constants.ts";
import { countFrames } from "./frame.ts";
import type { RunList } from "./run-list.ts";

/** What a lane needs of its HTTP/3 stream. The sender takes over `onWritable`. */
export interface LaneSink {
  writeBody(slab: Uint8Array, from: number, to: number): number;
  writeBodyRuns(slab: Uint8Array, ranges: Uint32Array, count: number): number;
  onWritable: (() => void) | undefined;
}

export class LaneSender {
  /** Called when the backlog was sent and `congested` is false again. */
  onDrained: (() => void) | undefined;

  readonly #stream: LaneSink;
  /** `SLAB_HEADROOM` free bytes, then whole frames. There only while frames wait. */
  #backlog: Uint8Array | undefined;
  #backlogEnd = SLAB_HEADROOM;
  #closed = false;

  constructor(stream: LaneSink) {
    this.#stream = stream;
    stream.onWritable = () => this.#drain();
  }

  /** QUIC takes no more for now, and frames wait in the backlog. */
  get congested(): boolean {
    return this.#backlog !== undefined;
  }

  /** Bytes that wait in the backlog. */
  get backlogBytes(): number {
    return this.#backlogEnd - SLAB_HEADROOM;
  }

  /** Sends the runs of `slab`, whose headroom is overwritten. Returns how many frames were dropped. */
  send(slab: Uint8Array, runs: RunList): number {
    if (this.#closed) return runs.frames;
    if (this.#backlog === undefined) {
      const taken = this.#stream.writeBodyRuns(slab, runs.ranges, runs.count);
      if (taken > 0) return 0;
      if (taken === WRITE_CLOSED) {
        this.#closed = true;
        return runs.frames;
      }
    }
    let dropped = 0;
    for (let pair = 1; pair < runs.count; pair++) {
      const from = runs.ranges[2 * pair]!;
      const to = runs.ranges[2 * pair + 1]!;
      if (!this.#keep(slab, from, to)) dropped += countFrames(slab, from, to);
    }
    return dropped;
  }

  #keep(slab: Uint8Array, from: number, to: number): boolean {
    if (this.#backlogEnd + (to - from) > LANE_BACKLOG_BYTES) return false;
    this.#backlog ??= takeBacklog();
    this.#backlog.set(slab.subarray(from, to), this.#backlogEnd);
    this.#backlogEnd += to - from;
    return true;
  }

  #drain(): void {
    if (this.#backlog === undefined) return;
    const taken = this.#stream.writeBody(this.#backlog, SLAB_HEADROOM, this.#backlogEnd);
    if (taken === 0) return;
    this.#closed = taken === WRITE_CLOSED;
    spareBacklog = this.#backlog;
    this.#backlog = undefined;
    this.#backlogEnd = SLAB_HEADROOM;
    this.onDrained?.();
  }
}

/**
 * The backlog that was empty last, for the lane that is congested next. Under load that is many times a second, and
 * each new one of this size brings V8 nearer to a collection of everything.
 */
let spareBacklog: Uint8Array | undefined;

function takeBacklog(): Uint8Array {
  const backlog = spareBacklog ?? new Uint8Array(LANE_BACKLOG_BYTES);
  spareBacklog = undefined;
  return backlog;
}
