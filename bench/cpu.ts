/** CPU time of processes, all their threads included. */
import { readFileSync } from "node:fs";

/** Clock ticks a second in /proc (USER_HZ, 100 on every Linux port that Node runs on; proc_pid_stat(5)). */
const TICKS_PER_SECOND = 100;

/** User and system seconds that the processes have used so far, to 10 ms. */
export function cpuSeconds(processes: readonly { readonly pid: number }[]): number {
  let ticks = 0;
  for (const { pid } of processes) {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // Fields 14 and 15; the command name before them may hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}
