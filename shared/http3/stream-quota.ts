/**
 * How many streams a peer opens in a time. The limit of open ones does not hold back a peer that resets each at once, and
 * each costs both threads work (CVE-2023-44487; RFC 9114 section 10.5).
 */
import { MAX_STREAMS_A_WINDOW, STREAM_WINDOW_MS } from "./constants.ts";
import type { Schedule } from "./schedule.ts";

export class StreamQuota {
  readonly #schedule: Schedule;
  /** In the window that is open; it opens with the first one. */
  #opened = 0;
  #cancelWindow: (() => void) | undefined;

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /** Counts a stream that the peer opened; false when it is one too many. */
  take(): boolean {
    if (this.#opened === 0) this.#cancelWindow = this.#schedule(STREAM_WINDOW_MS, () => (this.#opened = 0));
    return ++this.#opened <= MAX_STREAMS_A_WINDOW;
  }

  /** The connection is gone. */
  end(): void {
    this.#cancelWindow?.();
  }
}
