/**
 * The measurements of a run: for each scenario, round and peer one, so that the peers take turns and a slow
 * minute of the machine meets all of them. Tunnels stay up while the next scenario has the same path.
 */
import { messageOf } from "../shared/errors.ts";
import type { SamplesByPeer } from "./figures.ts";
import type { Peer } from "./peers/peer.ts";
import type { Sample, Scenario } from "./scenario.ts";
import type { Path } from "./site.ts";
import { closeTestbed, openTestbed } from "./testbed.ts";
import type { Testbed } from "./testbed.ts";

export interface RunResult {
  readonly scenario: Scenario;
  readonly samples: SamplesByPeer;
}

export interface RunOutcome {
  readonly results: readonly RunResult[];
  /** What went wrong. A peer that fails is left out of the rest of the scenario; one without tunnel, of the run. */
  readonly failures: readonly string[];
}

/** Runs the scenarios with those of `peers` that each names. `note` gets a line of progress for each sample. */
export async function runScenarios(
  scenarios: readonly Scenario[],
  peers: readonly Peer[],
  note: (line: string) => void,
): Promise<RunOutcome> {
  const failures: string[] = [];
  const results: RunResult[] = [];
  const beds = new Testbeds();
  try {
    for (const scenario of scenarios) {
      await beds.moveTo(scenario.path);
      const taking = new Set(peers.filter((peer) => scenario.peers.includes(peer.name) && !beds.failed.has(peer)));
      const samples = new Map([...taking].map((peer): [string, Sample[]] => [peer.name, []]));
      for (let round = 1; round <= scenario.rounds; round++) {
        for (const peer of taking) {
          try {
            const sample = await scenario.measure(await beds.of(peer));
            samples.get(peer.name)?.push(sample);
            note(`${scenario.name} ${round}/${scenario.rounds} ${peer.name}: ${describe(sample)}`);
          } catch (thrown) {
            taking.delete(peer);
            failures.push(`${scenario.name} with ${peer.name}: ${messageOf(thrown)}`);
            note(`${scenario.name} ${round}/${scenario.rounds} ${peer.name}: FAILED: ${messageOf(thrown)}`);
            await beds.drop(peer);
          }
        }
      }
      results.push({ scenario, samples });
    }
  } finally {
    await beds.closeAll();
  }
  return { results, failures };
}

/** The tunnels that are up, all on the same path. */
class Testbeds {
  #path: Path | undefined;
  #serial = 0;
  readonly #open = new Map<Peer, Testbed>();
  /** Peers whose tunnel did not come up. */
  readonly failed = new Set<Peer>();

  async moveTo(path: Path | undefined): Promise<void> {
    if (path?.lossPerMille === this.#path?.lossPerMille && path?.rttMs === this.#path?.rttMs) return;
    await this.closeAll();
    this.#path = path;
  }

  async of(peer: Peer): Promise<Testbed> {
    const there = this.#open.get(peer);
    if (there !== undefined) return there;
    this.failed.add(peer);
    const bed = await openTestbed(peer, `${this.#serial++}`, this.#path);
    this.failed.delete(peer);
    this.#open.set(peer, bed);
    return bed;
  }

  async drop(peer: Peer): Promise<void> {
    const bed = this.#open.get(peer);
    this.#open.delete(peer);
    if (bed !== undefined) await closeTestbed(bed);
  }

  async closeAll(): Promise<void> {
    for (const peer of [...this.#open.keys()]) await this.drop(peer);
  }
}

function describe(sample: Sample): string {
  return Object.entries(sample)
    .map(([metric, value]) => `${metric} ${value.toPrecision(4)}`)
    .join(", ");
}
