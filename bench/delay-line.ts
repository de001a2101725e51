/**
 * The long path: a namespace whose forwarded packets wait in a netfilter queue until their time has come.
 *
 * Stages: build `delay-proxy/` (Rust) when its source is newer → iptables hands every forwarded packet to
 * NFQUEUE 0 → the program releases each `delayMs` after it came. The packets stay in the kernel: the
 * program sees their numbers only (`delay-proxy/src/main.rs`).
 */
import type { Namespace } from "../e2e/harness/namespace.ts";
import type { Service } from "../e2e/harness/process.ts";
import { DELAY_LINE_PACKETS } from "./constants.ts";
import { buildRust, builtRust } from "./rust-program.ts";

const PROGRAM = "delay-proxy";

/** Builds the delay line; ZG_HOST_COMMAND with cargo's words when it cannot. */
export async function buildDelayLine(): Promise<void> {
  await buildRust(PROGRAM);
}

/** Delays all that `router` forwards by `delayMs`, in each direction. Needs `buildDelayLine` before. */
export async function startDelayLine(router: Namespace, delayMs: number): Promise<Service> {
  const program = builtRust(PROGRAM, PROGRAM);
  // A wire does not wait for a processor: real-time priority, or a busy machine lets go its packets in bursts.
  const service = router.spawn(["chrt", "--fifo", "1", program, `${delayMs}`, `${DELAY_LINE_PACKETS}`]);
  await service.waitForOutput(/^ready$/m);
  await router.check(["iptables", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "0"]);
  return service;
}
