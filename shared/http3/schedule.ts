/** The one way in which HTTP/3 knows time: something that runs a task later. Tests pass a clock of their own. */

/** Runs `task` once after `delayMs` milliseconds, never at once; the returned function cancels it. */
export type Schedule = (delayMs: number, task: () => void) => () => void;

/** Node's timers. They do not keep the process alive. */
export const systemSchedule: Schedule = (delayMs, task) => {
  const timer = setTimeout(task, delayMs).unref();
  return () => clearTimeout(timer);
};
