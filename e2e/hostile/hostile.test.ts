/**
 * Peers with a good certificate that break every rule they can, one attack after the other, against one relay:
 *
 *   agent-1 (a well-behaved agent: ping, download) ─┐         ┌─ target-a (the neighbour's)
 *                                                   ├─ relay ─┤
 *   agent-2 (`peer.ts`: the attack) ────────────────┘         └─ target-b (the attacker's: echo)
 *
 * While an attack runs and after it, the neighbour loses nothing, its ping is within three times what it is without
 * one, the relay is ready, and its memory stays within a bound. Who shares the processor does not count: `priority.ts`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "../harness/process.ts";
import { Certificates, openAgent, RelayProcess } from "../harness/product.ts";
import { layTopology, RELAY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";
import type { Attack, AttackReport } from "./attack.ts";
import { ATTACKS } from "./attacks.ts";
import { Neighbour } from "./neighbour.ts";
import type { Experience } from "./neighbour.ts";
import { FIRST, putFirst } from "../harness/priority.ts";

/** The attacker may go anywhere: what stops it then is not the policy. */
const POLICY = `
version: "1.0"
clients:
  client-1:
    rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16, "fd50::/48"] }]
  mallory:
    max_sessions: 64
    rules: [{ id: anywhere, type: ip_cidr, action: allow, destinations: [0.0.0.0/0, "::/0"] }]
`;
/** How much the relay's resident memory may grow over the whole suite, in bytes. */
const MEMORY_GROWTH_BYTES = 192 * 1024 * 1024;
/** How much slower the neighbour's 99th percentile may become. */
const SLOWER = 3;
/** Quieter than this, milliseconds, the idle one is not taken: a wake-up of a virtual processor costs as much. */
const QUIET_P99_MS = 1;
/** An attack is repeated for so long, milliseconds: some 200 pings, or the 99th percentile means nothing. */
const ATTACKED_MS = 1_000;
/** How long the neighbour is watched without one, milliseconds: some 600 pings. */
const IDLE_MS = 3_000;
/**
 * The machine below this one may be busy, too, for a while: an attack has so many runs, and between them the neighbour
 * is watched without one again.
 */
const RUNS = 3;
const ATTACK_TIMEOUT_MS = 120_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("hostile peers", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;
  let memoryBefore = 0;
  /** The neighbour's 99th percentile before the first attack, milliseconds. */
  let quietMs = 0;

  before(async () => {
    network = layTopology("hostile");
    certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    await certificates.issueClient("mallory");
    const target = join(import.meta.dirname, "../harness/target.ts");
    // The same services at the relay itself, where nobody from a tunnel may reach them.
    for (const namespace of [network.targetB, network.relay]) {
      await namespace.spawn([process.execPath, target]).waitForOutput(/ready/);
    }
    await network.targetA.spawn([...FIRST, process.execPath, target]).waitForOutput(/ready/);
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY });
    await relay.start();
    putFirst(relay.service.pid);
    putFirst((await openAgent(network.agents[0], { certificates, name: "client-1" })).pid);
    await watchIdle(); // Until all is compiled.
    quietMs = await watchIdle();
    memoryBefore = residentBytes(relay.service.pid);
  });

  after(() => network.close());

  for (const attack of ATTACKS) {
    test(attack.name, async () => {
      let quiet = quietMs;
      for (let runs = 1, slower = Infinity; slower > SLOWER; runs++) {
        assert.ok(runs <= RUNS, `the neighbour's ping became ${slower} times slower`);
        if (runs > 1) quiet = Math.max(quiet, await watchIdle());
        const experience = await suffer(attack);
        slower = experience.p99Ms / quiet;
        const memory = residentBytes(relay.service.pid);
        console.log(`${attack.name}: ${summary(experience)}: ${slower.toFixed(1)} times idle, ${mebibytes(memory)}`);
        assertUnharmed(experience);
        assert.notEqual(await relay.get("/readyz"), undefined);
        assert.ok(memory - memoryBefore < MEMORY_GROWTH_BYTES, `${memory} bytes, ${memoryBefore} before the suite`);
      }
    });
  }

  /** The neighbour's 99th percentile, milliseconds. */
  async function watchIdle(): Promise<number> {
    const neighbour = new Neighbour(network.agents[0], TARGET_A.ipv4);
    await pause(IDLE_MS);
    const idle = await neighbour.finish();
    console.log(`idle: ${summary(idle)}`);
    assertUnharmed(idle);
    return Math.max(QUIET_P99_MS, idle.p99Ms);
  }

  /** What the neighbour saw while the attack ran, again and again, and came to what it has to come to. */
  async function suffer(attack: Attack): Promise<Experience> {
    const before = await relay.metrics();
    const neighbour = new Neighbour(network.agents[0], TARGET_A.ipv4);
    for (const until = performance.now() + ATTACKED_MS; performance.now() < until;) {
      const report = await run(attack);
      assert.equal(report.closed?.code, attack.closes, JSON.stringify(report));
      if (attack.statuses !== undefined) assert.deepEqual(report.statuses, attack.statuses);
      if (attack.echoes !== undefined) assert.equal(report.echoes > 0 ? "some" : "none", attack.echoes);
    }
    const experience = await neighbour.finish();
    for (const [name, least] of Object.entries(attack.counts ?? {})) {
      await waitFor(`${name} grows by ${least}`, async () => {
        return ((await relay.metrics()).get(name) ?? 0) - (before.get(name) ?? 0) >= least;
      });
    }
    return experience;
  }

  async function run(attack: Attack): Promise<AttackReport> {
    const file = (name: string): string => join(certificates.folder, name);
    const argv = [
      ...[process.execPath, join(import.meta.dirname, "peer.ts"), attack.name, `${RELAY.ipv4}:4433`, RELAY.ipv4],
      ...[file("mallory.pem"), file("mallory-key.pem"), file("ca.pem")],
    ];
    return JSON.parse(await network.agents[1].check(argv, { timeoutMs: ATTACK_TIMEOUT_MS })) as AttackReport;
  }
});

function assertUnharmed(experience: Experience): void {
  const said = JSON.stringify(experience);
  assert.ok(experience.sent > 0, said);
  assert.equal(experience.lost, 0, said);
  assert.ok(experience.downloadIsRight, said);
}

function summary({ sent, lost, p50Ms, p99Ms }: Experience): string {
  return `${lost} of ${sent} pings lost, p50 ${p50Ms} ms, p99 ${p99Ms} ms`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** VmRSS (proc_pid_status(5)). */
function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}
