/** The time conditions of a policy, each with its present state, so that a verdict rarely has to ask a calendar. */
import { type UnixMs, unixMs } from "../units.ts";
import { type TimeCondition, timeStateAt } from "./schedule.ts";

export class TimeConditions {
  readonly #conditions: readonly TimeCondition[];
  /** The state of condition `i` is known from `#from[i]` until just before `#until[i]`. */
  readonly #from: Float64Array;
  readonly #until: Float64Array;
  readonly #active: Uint8Array;

  constructor(conditions: readonly TimeCondition[]) {
    this.#conditions = conditions;
    this.#from = new Float64Array(conditions.length).fill(Number.POSITIVE_INFINITY);
    this.#until = new Float64Array(conditions.length).fill(Number.NEGATIVE_INFINITY);
    this.#active = new Uint8Array(conditions.length);
  }

  /** Whether condition `index` holds; allocates only when its state is not known for that time. */
  active(index: number, at: UnixMs): boolean {
    if (at < (this.#from[index] ?? 0) || at >= (this.#until[index] ?? 0)) this.#look(index, at);
    return this.#active[index] === 1;
  }

  /** The next time after `at` at which some condition may change. */
  nextChangeAfter(at: UnixMs): UnixMs | undefined {
    let next = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#conditions.length; index++) {
      this.active(index, at);
      next = Math.min(next, this.#until[index] ?? next);
    }
    return next === Number.POSITIVE_INFINITY ? undefined : unixMs(next);
  }

  #look(index: number, at: UnixMs): void {
    const condition = this.#conditions[index];
    if (condition === undefined) return;
    const { active, until } = timeStateAt(condition, at);
    this.#from[index] = at;
    this.#until[index] = until ?? Number.POSITIVE_INFINITY;
    this.#active[index] = active ? 1 : 0;
  }
}
