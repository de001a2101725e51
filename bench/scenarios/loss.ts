/** TCP down through a path that loses outer packets at random, near and far, one flow and eight. */
import { LOSSY_TCP_SECONDS, TCP_SECONDS } from "../constants.ts";
import type { Scenario } from "../scenario.ts";
import type { Path } from "../site.ts";
import { measureTcp } from "./tcp.ts";

export function lossScenario(path: Path, flows: number, peers: readonly string[], rounds: number): Scenario {
  return {
    name: `loss-${path.lossPerMille / 10}%-${path.rttMs}ms-${flows}`,
    peers,
    path,
    rounds,
    measure: (bed) => measureTcp(bed, "down", flows, path.rttMs > 0 ? LOSSY_TCP_SECONDS : TCP_SECONDS),
  };
}
