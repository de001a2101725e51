/**
 * What one packet touches: instructions, cache lines and pages of code from the end of a wait of the event loop to the
 * system call that sends the packet on, at the agent and at the relay. Counted by single steps (single-step/), so the
 * figures are those of the program and not of the minute, give or take what V8 compiled.
 *
 *   sudo node bench/footprint.ts
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { waitFor } from "../e2e/harness/process.ts";
import { PING_WARM_UP } from "./constants.ts";
import { zgate } from "./peers/zgate.ts";
import { pingTimes } from "./ping.ts";
import { buildRust, builtRust } from "./rust-program.ts";
import { footprintUpTo, parseMaps, parseSteps } from "./steps.ts";
import type { Footprint, Step } from "./steps.ts";
import { closeTestbed, openTestbed } from "./testbed.ts";

const PROGRAM = "single-step";
/** SIGRTMIN + 5 of the C library, which keeps two of the kernel's 32 for itself. */
const ARM_SIGNAL = 39;
/** As many packets as V8 needs to have compiled what they run. */
const WARM_PACKETS = 3_000;
/** Echo requests of the turn that is counted: some before it, and time for it. */
const PINGS = { count: 8, intervalSeconds: 0.5 } as const;
/** Turns that are counted at each end. */
const TURNS = 5;
const FILE_TIMEOUT_MS = 20_000;

/** System calls of x86-64 (asm/unistd_64.h) that send a packet on: sendmsg(2) at the agent, write(2) at the relay. */
const ENDS = [
  { name: "agent, from the device to UDP", call: 46 },
  { name: "relay, from UDP to the device", call: 1 },
] as const;

await buildRust(PROGRAM);
const directory = mkdtempSync(join(tmpdir(), "zgate-footprint-"));
process.env["ZGATE_SINGLE_STEP"] = directory;
process.env["LD_PRELOAD"] = builtRust(PROGRAM, "libsingle_step.so");
try {
  const missing = await zgate.prepare();
  if (missing !== undefined) throw new Error(missing);
  const bed = await openTestbed(zgate, "footprint", undefined);
  try {
    await pingTimes(bed.site, WARM_PACKETS, PING_WARM_UP.intervalSeconds);
    for (const [index, { services }] of [bed.client, bed.relay].entries()) {
      const { name, call } = ENDS[index]!;
      print(name, await leanestTurn(services[0]!.pid, call));
    }
  } finally {
    await closeTestbed(bed);
  }

  /** Of some turns the one with the fewest instructions: V8 compiles or collects in others. */
  async function leanestTurn(pid: number, call: number): Promise<ReadonlyMap<string, Footprint>> {
    const turns: ReadonlyMap<string, Footprint>[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const steps = await oneTurn(pid);
      // Without the call it was a turn for a timer, or one with too much in it.
      if (steps.some((step) => step.call === call)) {
        turns.push(footprintUpTo(steps, parseMaps(readFileSync(`/proc/${pid}/maps`, "latin1")), call));
      }
    }
    const [leanest] = turns.toSorted((one, other) => one.get("all")!.instructions - other.get("all")!.instructions);
    if (leanest === undefined) throw new Error(`none of ${TURNS} turns of process ${pid} makes system call ${call}`);
    return leanest;
  }

  /** The packets go on meanwhile, so that the turn is one with a packet. */
  async function oneTurn(pid: number): Promise<readonly Step[]> {
    const pings = pingTimes(bed.site, PINGS.count, PINGS.intervalSeconds);
    // Between the third request and the fourth, when nothing else is under way.
    await pause(2.5 * PINGS.intervalSeconds * 1000);
    process.kill(pid, ARM_SIGNAL);
    const file = join(directory, `${pid}`);
    await waitFor(`the steps in ${file}`, () => existsSync(file), FILE_TIMEOUT_MS);
    await pings;
    const steps = parseSteps(readFileSync(file));
    rmSync(file);
    return steps;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function print(name: string, parts: ReadonlyMap<string, Footprint>): void {
  const columns = [30, 14, 8, 8] as const;
  const line = (...cells: readonly (string | number)[]): string =>
    cells.map((cell, at) => (at === 0 ? `${cell}`.padEnd(columns[0]) : `${cell}`.padStart(columns[at] ?? 0))).join("");
  console.log(line(name, "instructions", "lines", "pages"));
  for (const [part, { instructions, lines, pages }] of parts)
    console.log(line(`  ${part}`, instructions, lines, pages));
}
