/**
 * The time conditions of a policy in columns that threads share, each with its present state, so that a verdict
 * rarely has to ask a calendar.
 *
 *   conditions ─▶ TimeColumns (for good) ─▶ TimeStates (until something flips) ─▶ TimeConditions answers
 */
import { type UnixMs, unixMs } from "../units.ts";
import { type TimeCondition, timeStateAt, type WeeklyWindow } from "./schedule.ts";
import { type TextColumns, Texts, TextWriter } from "./text-columns.ts";

export interface TimeColumns {
  /** `notBefore` and `notAfter` of each condition; NaN is none. */
  readonly bounds: Float64Array<SharedArrayBuffer>;
  /** The number of its windows among `windows`. */
  readonly schedules: Uint32Array<SharedArrayBuffer>;
  /** Lists of `WeeklyWindow`, as JSON. */
  readonly windows: TextColumns;
}

/** The state of condition `i` is known from `from[i]` until just before `until[i]`. */
export interface TimeStates {
  readonly from: Float64Array<SharedArrayBuffer>;
  readonly until: Float64Array<SharedArrayBuffer>;
  readonly active: Uint8Array<SharedArrayBuffer>;
}

/** The states at a time, and the next time after it at which some condition may change. */
export interface TimeOutlook {
  readonly states: TimeStates;
  readonly next: UnixMs | undefined;
}

/** Numbers different conditions from 0. */
export class TimeWriter {
  readonly #numbers = new Map<string, number>();
  readonly #conditions: TimeCondition[] = [];

  add(condition: TimeCondition): number {
    const key = JSON.stringify(condition);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.#conditions.length);
    return this.#conditions.push(condition) - 1;
  }

  finish(): TimeColumns {
    const count = this.#conditions.length;
    const bounds = new Float64Array(new SharedArrayBuffer(16 * count));
    const schedules = new Uint32Array(new SharedArrayBuffer(4 * count));
    const windows = new TextWriter();
    for (const [index, condition] of this.#conditions.entries()) {
      bounds[2 * index] = condition.notBefore ?? Number.NaN;
      bounds[2 * index + 1] = condition.notAfter ?? Number.NaN;
      schedules[index] = windows.add(JSON.stringify(condition.windows));
    }
    return { bounds, schedules, windows: windows.finish() };
  }
}

/** No state is known yet. */
function unknownStates(count: number): TimeStates {
  return {
    from: new Float64Array(new SharedArrayBuffer(8 * count)).fill(Number.POSITIVE_INFINITY),
    until: new Float64Array(new SharedArrayBuffer(8 * count)).fill(Number.NEGATIVE_INFINITY),
    active: new Uint8Array(new SharedArrayBuffer(count)),
  };
}

export class TimeConditions {
  readonly #columns: TimeColumns;
  readonly #windows: Texts;
  readonly #parsed = new Map<number, readonly WeeklyWindow[]>();
  #states: TimeStates;

  constructor(columns: TimeColumns) {
    this.#columns = columns;
    this.#windows = new Texts(columns.windows);
    this.#states = unknownStates(columns.schedules.length);
  }

  /** Whether condition `index` holds; allocates only when its state is not known for that time. */
  active(index: number, at: UnixMs): boolean {
    const { from, until, active } = this.#states;
    if (at < (from[index] ?? 0) || at >= (until[index] ?? 0)) this.#look(index, at);
    return active[index] === 1;
  }

  /** Takes over states that another thread has looked up. */
  follow(states: TimeStates): void {
    this.#states = states;
  }

  /** All states at a time, in memory of their own. Takes long for many schedules: some 0.1 ms each. */
  outlook(at: UnixMs): TimeOutlook {
    this.#states = unknownStates(this.#columns.schedules.length);
    const next = this.nextChangeAfter(at);
    return { states: this.#states, next };
  }

  /** The next time after `at` at which some condition may change. */
  nextChangeAfter(at: UnixMs): UnixMs | undefined {
    let next = Number.POSITIVE_INFINITY;
    const count = this.#columns.schedules.length;
    for (let index = 0; index < count; index++) {
      this.active(index, at);
      next = Math.min(next, this.#states.until[index] ?? next);
    }
    return next === Number.POSITIVE_INFINITY ? undefined : unixMs(next);
  }

  #look(index: number, at: UnixMs): void {
    const { active, until } = timeStateAt(this.#condition(index), at);
    this.#states.from[index] = at;
    this.#states.until[index] = until ?? Number.POSITIVE_INFINITY;
    this.#states.active[index] = active ? 1 : 0;
  }

  #condition(index: number): TimeCondition {
    const { bounds, schedules } = this.#columns;
    return {
      notBefore: timeOf(bounds[2 * index]),
      notAfter: timeOf(bounds[2 * index + 1]),
      windows: this.#windowsOf(schedules[index] ?? 0),
    };
  }

  #windowsOf(number: number): readonly WeeklyWindow[] {
    const known = this.#parsed.get(number);
    if (known !== undefined) return known;
    // Written by `TimeWriter`, from what the parser has checked.
    const windows: readonly WeeklyWindow[] = JSON.parse(this.#windows.at(number));
    this.#parsed.set(number, windows);
    return windows;
  }
}

function timeOf(bound: number | undefined): UnixMs | undefined {
  return bound === undefined || Number.isNaN(bound) ? undefined : unixMs(bound);
}
