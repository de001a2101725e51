/**
 * A clock for tests: time passes only when told to, so nothing sleeps and every run is the same.
 *
 * `schedule` has the shape that `shared/http3/schedule.ts` asks for. Tasks due at the same time run in the
 * order in which they were scheduled; promises settle between two tasks, as they do between two events.
 */

type Task = () => void;

/** More tasks than this in one `advance` are an endless loop. */
const MAX_TASKS = 10_000_000;

export class FakeClock {
  #now = 0;
  /** The times at which something is due, rising. */
  readonly #times: number[] = [];
  /** What is due at a time, in the order of scheduling. Wrapped, so that a function may be scheduled twice. */
  readonly #due = new Map<number, Set<{ readonly task: Task }>>();

  /** Milliseconds since the clock was made. */
  get now(): number {
    return this.#now;
  }

  /** Runs `task` when the clock has advanced by `delayMs`; the returned function cancels it. */
  readonly schedule = (delayMs: number, task: Task): (() => void) => {
    const at = this.#now + delayMs;
    let due = this.#due.get(at);
    if (due === undefined) {
      due = new Set();
      this.#due.set(at, due);
      const later = this.#times.findIndex((time) => time > at);
      this.#times.splice(later === -1 ? this.#times.length : later, 0, at);
    }
    const entry = { task };
    due.add(entry);
    return () => void due.delete(entry);
  };

  /** Runs all that is due within the next `ms` milliseconds, then stands at the end of them. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (let count = 0; ; count++) {
      await promisesSettled();
      const task = this.#next(end);
      if (task === undefined) break;
      if (count === MAX_TASKS) throw new Error(`fake clock: ${MAX_TASKS} tasks ran and there are more`);
      task();
    }
    this.#now = end;
  }

  /** Takes the first task that is due at `end` or before, and moves the clock to its time. */
  #next(end: number): Task | undefined {
    for (let at = this.#times[0]; at !== undefined && at <= end; at = this.#times[0]) {
      const due = this.#due.get(at);
      for (const entry of due ?? []) {
        due?.delete(entry);
        this.#now = at;
        return entry.task;
      }
      this.#times.shift();
      this.#due.delete(at);
    }
    return undefined;
  }
}

/** Every promise reaction that is ready, and those that follow from it, has run. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
