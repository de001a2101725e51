/**
 * When the flows of a table may end at the earliest: one time for each row of `FLOWS_A_ROW` neighbouring slots, so that
 * who looks for idle flows passes by the rows that have none.
 *
 * A time is a lower bound. A packet puts its flow's end off and touches no row: who looks at the row finds that out,
 * and says until when it need not be looked at again.
 */
import { FLOWS_A_ROW } from "./constants.ts";

export class FlowDeadlines {
  /** Milliseconds of the table's clock, by row; Infinity: it has no flow. */
  readonly #rows: Float64Array;

  /** For as many slots. */
  constructor(capacity: number) {
    this.#rows = new Float64Array(Math.ceil(capacity / FLOWS_A_ROW)).fill(Infinity);
  }

  /** A copy with more room. */
  grown(capacity: number): FlowDeadlines {
    const larger = new FlowDeadlines(capacity);
    larger.#rows.set(this.#rows);
    return larger;
  }

  /** The flow in this slot may end at `endMs`, or later. */
  lower(slot: number, endMs: number): void {
    const row = Math.floor(slot / FLOWS_A_ROW);
    if (endMs < this.#rows[row]!) this.#rows[row] = endMs;
  }

  /** The first row that may have a flow whose time was over before `nowMs`; -1: none has. */
  firstDue(nowMs: number): number {
    for (let row = 0; row < this.#rows.length; row++) if (this.#rows[row]! < nowMs) return row;
    return -1;
  }

  /** No flow of the row ends before `endMs`. */
  put(row: number, endMs: number): void {
    this.#rows[row] = endMs;
  }
}
