/** Round-trip times: on an idle tunnel, and beside eight bulk TCP flows. */
import { setTimeout as pause } from "node:timers/promises";

import {
  BAR_ROUNDS,
  OTHER_ROUNDS,
  PING_IDLE,
  PING_LOADED,
  PING_LOAD_LEAD_MS,
  PING_LOAD_SECONDS,
  PING_WARM_UP,
} from "../constants.ts";
import { transferTcp } from "../iperf.ts";
import { pingTimes } from "../ping.ts";
import type { Sample, Scenario } from "../scenario.ts";
import { quantile } from "../statistics.ts";

const LOAD_FLOWS = 8;

export function idlePingScenario(peers: readonly string[]): Scenario {
  return {
    name: "ping-idle",
    peers,
    path: undefined,
    rounds: BAR_ROUNDS,
    async measure({ site }) {
      await pingTimes(site, PING_WARM_UP.count, PING_WARM_UP.intervalSeconds);
      return sampleOf(await pingTimes(site, PING_IDLE.count, PING_IDLE.intervalSeconds));
    },
  };
}

export function loadedPingScenario(direction: "up" | "down", peers: readonly string[]): Scenario {
  return {
    name: `ping-loaded-${direction}`,
    peers,
    path: undefined,
    rounds: OTHER_ROUNDS,
    async measure({ site }) {
      const load = transferTcp(site, direction, LOAD_FLOWS, PING_LOAD_SECONDS);
      const [{ bitsPerSecond }, times] = await Promise.all([
        load,
        pause(PING_LOAD_LEAD_MS).then(() => pingTimes(site, PING_LOADED.count, PING_LOADED.intervalSeconds)),
      ]);
      return { ...sampleOf(times), throughput: bitsPerSecond / 1e6 };
    },
  };
}

function sampleOf(times: readonly number[]): Sample {
  return { pingP50: quantile(times, 0.5), pingP99: quantile(times, 0.99) };
}
