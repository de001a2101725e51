/**
 * How many flows all sessions may have together. A table that gets no more evicts flows of its own session,
 * so nobody's flows are lost to another's.
 */
import { MAX_FLOWS } from "./constants.ts";

export class FlowBudget {
  #left: number;

  /** `flows`: room for so many, in all tables. */
  constructor(flows: number) {
    this.#left = flows;
  }

  get left(): number {
    return this.#left;
  }

  /** Takes room for `flows` more; false, and nothing taken, when there is not so much. */
  take(flows: number): boolean {
    if (flows > this.#left) return false;
    this.#left -= flows;
    return true;
  }

  giveBack(flows: number): void {
    this.#left += flows;
  }
}

/** That of this process. */
export const FLOW_BUDGET = new FlowBudget(MAX_FLOWS);
