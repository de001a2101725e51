/**
 * Lines of a log into an output that must never hold up the process (pure but for its output and its timer).
 *
 *   write ▸ nothing waits: offered at once ─▶ taken
 *        └▶ the rest waits in order, bounded ▸ again with the next line, or after LOG_RETRY_MS
 *               └▶ full: lost and counted until half of the room is back ▸ one line says how many ▸ go on
 */
import { LineQueue } from "./line-queue.ts";

/** Bytes that wait for a slow reader; some 4,000 lines. */
export const LOG_QUEUE_BYTES = 1024 * 1024;
/** What one write(2) carries at most, bytes: as much as a pipe has room for, so that few are cut short. */
const LOG_BATCH_BYTES = 64 * 1024;
/** After an output took less than it was offered it is asked again so much later, milliseconds. */
export const LOG_RETRY_MS = 50;

export interface LogOutput {
  /** Writes from the beginning of `bytes` and returns how many it took: 0 when it takes none for now. Never waits. */
  offer(bytes: Buffer): number;
}

/** Runs `task` once after `delayMs`, if the process still runs then. */
export type Later = (delayMs: number, task: () => void) => void;

export class LogWriter {
  /** Lines that were lost. */
  lost = 0;
  /** Called when there is room again, with how many were lost before the lines that come; it may write one. */
  onLost: (lines: number) => void = () => undefined;
  readonly #output: LogOutput;
  readonly #later: Later;
  readonly #queue: LineQueue;
  #untold = 0;
  #retrying = false;

  constructor(output: LogOutput, later: Later, queueBytes = LOG_QUEUE_BYTES) {
    this.#output = output;
    this.#later = later;
    this.#queue = new LineQueue(queueBytes);
  }

  /** Takes one line with its end. Never waits, never throws. */
  write(line: string): void {
    if (this.#untold > 0) this.#tell();
    if (this.#untold === 0 && this.#queue.push(Buffer.from(line))) {
      this.#drain();
      return;
    }
    this.lost++;
    this.#untold++;
  }

  /** Offers what waits; false when something is left. */
  flush(): boolean {
    while (this.#queue.bytes > 0) {
      const taken = this.#output.offer(this.#queue.peek(LOG_BATCH_BYTES));
      if (taken === 0) return false;
      this.#queue.consume(taken);
    }
    return true;
  }

  #drain(): void {
    if (this.flush() || this.#retrying) return;
    this.#retrying = true;
    this.#later(LOG_RETRY_MS, () => {
      this.#retrying = false;
      this.#drain();
      if (this.#untold > 0) this.#tell();
    });
  }

  #tell(): void {
    if (!this.#queue.roomy) return;
    const lines = this.#untold;
    this.#untold = 0;
    this.onLost(lines);
  }
}
