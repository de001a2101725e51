/**
 * Runs of whole frames in one slab, as the pairs `from, to` that a gathering write takes
 * (`Http3Stream.writeBodyRuns`). Pair 0 is kept for the DATA header, so pair 1 is the first run.
 */

/** Pairs at first: enough for a slab of super-packets. */
const FIRST_PAIRS = 32;

export class RunList {
  /** `count` pairs; replaced when it grows, so read it after the last `add`. */
  ranges: Uint32Array = new Uint32Array(2 * FIRST_PAIRS);
  /** Pairs in use, pair 0 included: 1 when there is no run. */
  count = 1;
  /** Bytes in all runs. */
  bytes = 0;
  /** Frames in all runs. */
  frames = 0;

  /**
   * Adds the frame `slab[from, to)`, its length field included. It is joined to the last run when it stands
   * right behind it. Allocates only when there are more runs than ever before in this list; a slab bounds
   * them, as a frame is no shorter than its header.
   */
  add(from: number, to: number): void {
    const last = 2 * this.count - 1;
    this.bytes += to - from;
    this.frames++;
    if (this.count > 1 && this.ranges[last] === from) {
      this.ranges[last] = to;
      return;
    }
    if (last + 2 >= this.ranges.length) this.#grow();
    this.ranges[last + 1] = from;
    this.ranges[last + 2] = to;
    this.count++;
  }

  clear(): void {
    this.count = 1;
    this.bytes = 0;
    this.frames = 0;
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.ranges.length);
    larger.set(this.ranges);
    this.ranges = larger;
  }
}
