/**
 * Who gets the processor. The processes of a test stand for machines of their own, and share this one, with whatever
 * else runs here. Those in the real-time class (sched(7)) wait for nobody outside of it, so what is measured is what they
 * do, and not who shares their processor. In the hostile suite:
 *
 *   real-time class: the relay, the neighbour's agent and commands, its target
 *   all others:      the attacker, what the attacker has answer it, other work of this machine
 */
import { checkSync } from "./command.ts";

const PRIORITY = "1";

/** Before a command: it runs first. */
export const FIRST: readonly string[] = ["chrt", "--rr", PRIORITY];

/** From now on all threads of the process run first, and those that they start. */
export function putFirst(pid: number): void {
  checkSync(["chrt", "--all-tasks", "--rr", "--pid", PRIORITY, `${pid}`]);
}
