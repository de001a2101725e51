/**
 * Who gets the processor. Relay, neighbour, its target, the attacker and what the attacker has answer it stand for
 * machines of their own, and share this one, with whatever else runs here:
 *
 *   real-time class (sched(7)): the relay, the neighbour's agent and commands, its target   ─ wait for no one else
 *   all others:                 the attacker, its target, other work of this machine        ─ what is left
 *
 * So what the neighbour feels is what the relay does, and not who shares its processor.
 */
import { checkSync } from "../harness/command.ts";

const PRIORITY = "1";

/** Before a command: it runs first. */
export const FIRST: readonly string[] = ["chrt", "--rr", PRIORITY];

/** From now on all threads of the process run first, and those that they start. */
export function putFirst(pid: number): void {
  checkSync(["chrt", "--all-tasks", "--rr", "--pid", PRIORITY, `${pid}`]);
}
