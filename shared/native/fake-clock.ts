/**
 * A clock for tests: time passes only when told to, so nothing sleeps and every run is the same.
 *
 * `schedule` has the shape that `shared/http3/schedule.ts` asks for. Tasks due at the same time run in the
 * order in which they were scheduled; promises settle between two tasks, as they do between two events.
 */

interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** More tasks than this in one `settle` are an endless loop. */
const MAX_TASKS = 1_000_000;

export class FakeClock {
  #now = 0;
  #order = 0;
  readonly #tasks = new Set<Task>();

  /** Milliseconds since the clock was made. */
  get now(): number {
    return this.#now;
  }

  /** Runs `run` when the clock has advanced by `delayMs`; the returned function cancels it. */
  readonly schedule = (delayMs: number, run: () => void): (() => void) => {
    const task: Task = { at: this.#now + delayMs, order: this.#order++, run };
    this.#tasks.add(task);
    return () => void this.#tasks.delete(task);
  };

  /** Runs all that is due within the next `ms` milliseconds, then stands at the end of them. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (let count = 0; ; count++) {
      await promisesSettled();
      const task = this.#earliest();
      if (task === undefined || task.at > end) break;
      if (count === MAX_TASKS) throw new Error(`fake clock: ${MAX_TASKS} tasks ran and there are more`);
      this.#tasks.delete(task);
      this.#now = task.at;
      task.run();
    }
    this.#now = end;
  }

  #earliest(): Task | undefined {
    let earliest: Task | undefined;
    for (const task of this.#tasks) {
      if (earliest === undefined || task.at < earliest.at || (task.at === earliest.at && task.order < earliest.order)) {
        earliest = task;
      }
    }
    return earliest;
  }
}

/** Every promise reaction that is ready, and those that follow from it, has run. */
function promisesSettled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
