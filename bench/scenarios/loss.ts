/** TCP down through a path that loses outer packets at random, near and far, one flow and eight. */
import { LOSSY_TCP_SECONDS, TCP_SECONDS } from "../constants.ts";
import { transferTcp } from "../iperf.ts";
import type { Scenario } from "../scenario.ts";
import type { Path } from "../site.ts";

export function lossScenario(path: Path, flows: number, peers: readonly string[], rounds: number): Scenario {
  return {
    name: `loss-${path.lossPerMille / 10}%-${path.rttMs}ms-${flows}`,
    peers,
    path,
    rounds,
    async measure({ site }) {
      const seconds = path.rttMs > 0 ? LOSSY_TCP_SECONDS : TCP_SECONDS;
      const { bitsPerSecond } = await transferTcp(site, "down", flows, seconds);
      return { throughput: bitsPerSecond / 1e6 };
    },
  };
}
