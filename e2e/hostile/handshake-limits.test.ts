/**
 * The limits before authentication, through a real relay: whom handshakes that stop half way keep out, and whom not.
 *
 *   agent-1 ── 198.51.100.1, 2001:db8:1::1 ─┐
 *                                           ├─ relay        the attacker's /24 is agent-1's as well, its /56 is not
 *   agent-2 (the attack) ── 198.51.100.5 ───┘
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { waitFor } from "../harness/process.ts";
import type { Service } from "../harness/process.ts";
import { Certificates, openAgent, RelayProcess } from "../harness/product.ts";
import { shakeHands } from "../harness/reachability.ts";
import { layTopology, RELAY } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";
import { HALF_WAY, NETWORK_HANDSHAKES } from "./flood-attacks.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
/** From the last packet of an attack to the time that the relay has given up on it, in milliseconds: its patience is 10,000. */
const FORGOTTEN_MS = 20_000;
const RETRIES = 'zgate_address_checks_total{reason="handshakes-in-progress"}';
const refused = (reason: string): string => `zgate_handshakes_refused_total{reason="${reason}"}`;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("limits before authentication", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess | undefined;
  let agent: Service | undefined;

  before(async () => {
    network = layTopology("limits");
    certificates = await Certificates.create();
    for (const name of ["client-1", "mallory"]) await certificates.issueClient(name);
  });
  after(() => network.close());
  afterEach(async () => {
    await agent?.stop();
    await relay?.stop();
  });

  async function startRelay(...flags: readonly string[]): Promise<RelayProcess> {
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY, flags });
    await relay.start();
    return relay;
  }

  function attack(): Service {
    const file = (name: string): string => join(certificates.folder, name);
    const argv = [join(import.meta.dirname, "peer.ts"), HALF_WAY, `${RELAY.ipv4}:4433`, RELAY.ipv4];
    const mallory = [file("mallory.pem"), file("mallory-key.pem"), file("ca.pem")];
    return network.agents[1].spawn([process.execPath, ...argv, ...mallory]);
  }

  const counted = async (counter: string): Promise<number> => (await relay?.metrics())?.get(counter) ?? 0;
  /** Over IPv4, from the attacker's own network. */
  const comesIn = async (name: string): Promise<boolean> =>
    (await shakeHands(network.agents[0], certificates, name)).connected;

  test(`a network with ${NETWORK_HANDSHAKES} handshakes in progress gets no more, others do, and it again later`, async () => {
    await startRelay();
    const attacking = attack();
    await waitFor("the limit of the network", async () => (await counted(refused("over-network-limit"))) > 0);
    await waitFor("the Retries to be counted", async () => (await counted(RETRIES)) > 0);
    assert.equal(await comesIn("client-1"), false);
    agent = await openAgent(network.agents[0], { certificates, name: "client-1", relay: `[${RELAY.ipv6}]:4433` });
    assert.equal(attacking.status, undefined, "the attack was still going on");
    await attacking.stop();
    await waitFor("the network to be let in", () => comesIn("client-1"), FORGOTTEN_MS);
    assert.ok((await counted(refused("vanished"))) >= NETWORK_HANDSHAKES);
  });

  test("above the limit of all, everybody waits until they are forgotten, and sessions go on", async () => {
    await startRelay("--max-handshakes", "32");
    agent = await openAgent(network.agents[0], { certificates, name: "client-1" });
    const attacking = attack();
    await waitFor("the limit of all", async () => (await counted(refused("over-limit"))) > 0);
    assert.equal(await comesIn("mallory"), false);
    await attacking.stop();
    await waitFor("everybody to be let in", () => comesIn("mallory"), FORGOTTEN_MS);
    assert.equal(await counted("zgate_sessions"), 1);
    assert.doesNotMatch(agent.stderr, /session ended/);
  });

  test("with `--retry always` each handshake shows that its sender receives at its address", async () => {
    await startRelay("--retry", "always");
    assert.equal(await comesIn("client-1"), true);
    await waitFor("the Retry to be counted", async () => (await counted(RETRIES)) > 0);
  });
});
