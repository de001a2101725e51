/**
 * The benchmark: zgate and other userspace VPNs on the same machine, in the same run, taking turns.
 *
 *   node bench/run.ts [--quick] [--only tcp-up-1,ping-idle] [--peers zgate,openvpn] [--rounds 3]
 *
 * Stages: options → programs and peers made ready, the missing ones named → measurements (`runner.ts`) →
 * medians, ratios and bars → the table on standard output, all of it in `bench/out/latest.json`. Needs root.
 * Exits with 1 when a measurement failed; a bar that is missed is a result, not a failure.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { ZgateError, messageOf } from "../shared/errors.ts";
import { BARS } from "./bars.ts";
import { buildDelayLine } from "./delay-line.ts";
import { figuresOf } from "./figures.ts";
import type { Peer } from "./peers/peer.ts";
import { PEERS } from "./peers.ts";
import { QUICK, SCENARIOS } from "./plan.ts";
import { provide } from "./programs.ts";
import { runScenarios } from "./runner.ts";
import type { Scenario } from "./scenario.ts";
import { renderTable } from "./table.ts";

const OUTPUT = join(import.meta.dirname, "out");

interface Plan {
  readonly scenarios: readonly Scenario[];
  readonly peers: readonly Peer[];
}

/** Reads the command line; ZG_CONFIG_INVALID when it names what there is not. */
function readPlan(argv: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string" },
    },
  });
  const quick = values.quick ? QUICK : undefined;
  const rounds = values.rounds === undefined ? quick?.rounds : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new ZgateError("ZG_CONFIG_INVALID", `--rounds ${values.rounds}: expected a whole number above 0`);
  }
  const scenarios = choose("--only", values.only?.split(",") ?? quick?.scenarios, SCENARIOS);
  return {
    scenarios: rounds === undefined ? scenarios : scenarios.map((scenario) => ({ ...scenario, rounds })),
    peers: choose("--peers", values.peers?.split(",") ?? quick?.peers, PEERS),
  };
}

function choose<T extends { readonly name: string }>(
  option: string,
  names: readonly string[] | undefined,
  all: readonly T[],
): readonly T[] {
  const unknown = names?.find((name) => all.every((each) => each.name !== name));
  if (unknown !== undefined) {
    const known = all.map((each) => each.name).join(", ");
    throw new ZgateError("ZG_CONFIG_INVALID", `${option} ${unknown}: there is none of that name; there are ${known}`);
  }
  return names === undefined ? all : all.filter((each) => names.includes(each.name));
}

/** Installs and builds what the plan needs; the peers that are ready. Throws when no measurement is possible. */
async function prepare({ scenarios, peers }: Plan): Promise<readonly Peer[]> {
  if (process.getuid?.() !== 0) {
    throw new ZgateError("ZG_PRIVILEGE", "the benchmark makes network namespaces: run it as root");
  }
  const longPath = scenarios.some((scenario) => (scenario.path?.rttMs ?? 0) > 0);
  const programs = [
    ["ip", "iproute2"],
    ["nft", "nftables"],
    ["ping", "iputils-ping"],
    ["iperf3", "iperf3"],
  ] as const;
  for (const [program, debianPackage] of longPath ? [...programs, ["iptables", "iptables"] as const] : programs) {
    const missing = await provide(program, debianPackage);
    if (missing !== undefined) throw new ZgateError("ZG_HOST_COMMAND", missing);
  }
  if (longPath) await buildDelayLine();
  const ready: Peer[] = [];
  for (const peer of peers.filter(({ name }) => scenarios.some((scenario) => scenario.peers.includes(name)))) {
    const missing = await peer.prepare();
    if (missing === undefined) ready.push(peer);
    else note(`${peer.name} is left out: ${missing}`);
  }
  return ready;
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function main(): Promise<void> {
  const plan = readPlan(process.argv.slice(2));
  mkdirSync(OUTPUT, { recursive: true });
  const peers = await prepare(plan);
  const { results, failures } = await runScenarios(plan.scenarios, peers, note);
  const figures = results.flatMap(({ scenario, samples }) => figuresOf(scenario.name, samples, BARS));
  writeFileSync(join(OUTPUT, "latest.json"), `${JSON.stringify(figures, undefined, 2)}\n`);
  process.stdout.write(renderTable(figures));
  for (const failure of failures) note(`failed: ${failure.split("\n", 1)[0]}`);
  if (failures.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (thrown) {
  note(messageOf(thrown));
  process.exitCode = 1;
}
