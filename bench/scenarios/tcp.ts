/** TCP up, down and both ways at once, 1 and 8 flows: throughput, and the CPU time that each end paid for it. */
import { BAR_ROUNDS, OTHER_ROUNDS, TCP_SECONDS } from "../constants.ts";
import { cpuSeconds } from "../cpu.ts";
import { transferTcp } from "../iperf.ts";
import type { Direction } from "../iperf.ts";
import type { Sample, Scenario } from "../scenario.ts";
import type { Testbed } from "../testbed.ts";

export function tcpScenario(direction: Direction, flows: number, peers: readonly string[]): Scenario {
  return {
    name: `tcp-${direction}-${flows}`,
    peers,
    path: undefined,
    rounds: flows === 1 && direction !== "both" ? BAR_ROUNDS : OTHER_ROUNDS,
    measure: (bed) => measureTcp(bed, direction, flows),
  };
}

/** One transfer; CPU seconds are a GB (10^9 bytes) of payload, and absent where no process carries it. */
async function measureTcp(bed: Testbed, direction: Direction, flows: number): Promise<Sample> {
  const { peer, site, client, relay } = bed;
  const before = { client: cpuSeconds(client.services), relay: cpuSeconds(relay.services) };
  const plain = await peer.transfer?.(site, direction, TCP_SECONDS);
  const { bitsPerSecond, bytes } = plain ?? (await transferTcp(site, direction, flows, TCP_SECONDS));
  const throughput = bitsPerSecond / 1e6;
  if (relay.services.length === 0 || bytes === 0) return { throughput };
  const clientSeconds = plain?.clientCpuSeconds ?? cpuSeconds(client.services) - before.client;
  const cpuClient = clientSeconds / (bytes / 1e9);
  const cpuRelay = (cpuSeconds(relay.services) - before.relay) / (bytes / 1e9);
  return { throughput, cpuClient, cpuRelay, cpuBoth: cpuClient + cpuRelay };
}
