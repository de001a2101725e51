/** Killing and stopping relay and agent: who comes back when, and what stays behind. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { join } from "node:path";
import { machineState } from "../harness/machine-state.ts";
import { waitFor } from "../harness/process.ts";
import type { Service } from "../harness/process.ts";
import { Certificates, DEVICE, RelayProcess, startAgent, tunnelOpen } from "../harness/product.ts";
import { ping, probe } from "../harness/reachability.ts";
import { connect } from "../harness/namespace.ts";
import { layTopology, RELAY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1:
    rules: [{ id: all, type: ip_cidr, action: allow, destinations: [0.0.0.0/0, "::/0"] }]
`;
/** The agent is back so soon after the relay's return, in milliseconds (issue 2). */
const RECONNECT_MS = 5_000;
/** "At once": the time of a start of Node and a handshake, in milliseconds; an idle time-out is 30,000. */
const REPLACE_MS = 5_000;
/** An attempt to connect takes up to 10,000 ms before it is given up, in milliseconds. */
const START_TIMEOUT_MS = 30_000;
/** The relay's silence is noticed after 10,000 ms and an attempt may take as long, in milliseconds. */
const MOVE_MS = 30_000;
/** The grace of a relay that drains, in milliseconds: enough for a second agent to start in, on a busy machine too. */
const DRAIN_MS = 8_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("lifecycle", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;

  before(async () => {
    network = layTopology("life");
    certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    await network.targetA
      .spawn([process.execPath, join(import.meta.dirname, "../harness/target.ts")])
      .waitForOutput(/ready/);
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY });
  });

  after(() => network.close());
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
    await other?.stop();
    await relay.stop();
  });

  const agents: Service[] = [];
  const open = async (index: 0 | 1, flags: readonly string[] = []): Promise<Service> => {
    const agent = startAgent(network.agents[index], { certificates, name: "client-1", flags });
    agents.push(agent);
    await tunnelOpen(agent);
    return agent;
  };
  /** Another relay in the place of `relay`, with a time to drain in. */
  let other: RelayProcess | undefined;
  const startWithGrace = async (grace: string): Promise<RelayProcess> => {
    other = new RelayProcess(network.relay, { certificates, policy: POLICY, flags: ["--drain", grace] });
    await other.start();
    return other;
  };
  const answers = async (): Promise<boolean> => (await ping(network.agents[0], TARGET_A.ipv4, 1)).received === 1;
  const tables = async (): Promise<string[]> =>
    (await network.relay.check(["nft", "list", "tables"])).split("\n").filter(Boolean);
  const ownRoutes = (): string => network.agents[0].ip("route", "show", "proto", "122");

  test("SIGTERM of either leaves its machine as it was", async () => {
    const [agentBefore, relayBefore] = [await machineState(network.agents[0]), await machineState(network.relay)];
    await relay.start();
    const agent = await open(0, ["--route", "default"]);
    assert.ok(await answers());
    assert.notDeepEqual(await machineState(network.agents[0]), agentBefore);
    assert.notDeepEqual(await machineState(network.relay), relayBefore);
    assert.deepEqual(await agent.stop(), { code: 0, signal: null });
    assert.deepEqual(await machineState(network.agents[0]), agentBefore);
    assert.deepEqual(await relay.stop(), { code: 0, signal: null });
    assert.deepEqual(await machineState(network.relay), relayBefore);
  });

  test("SIGTERM while the agent connects to a relay that is not there", async () => {
    const before = await machineState(network.agents[0]);
    const agent = startAgent(network.agents[0], { certificates, name: "client-1" });
    agents.push(agent);
    await waitFor("its socket", async () => (await network.agents[0].check(["ss", "-Huan"])) !== "");
    assert.deepEqual(await agent.stop(), { code: 0, signal: null });
    assert.deepEqual(await machineState(network.agents[0]), before);
  });

  test("a relay that drains serves its sessions to the end of the grace, takes no new ones, and says so", async () => {
    const draining = await startWithGrace(`${DRAIN_MS}ms`);
    const agent = await open(0);
    const began = performance.now();
    draining.service.signal("SIGTERM");
    await waitFor("/readyz to fail", async () => (await draining.get("/readyz")) === undefined);
    const second = startAgent(network.agents[1], { certificates, name: "client-1" });
    agents.push(second);
    await second.waitForOutput(/the relay refused the session with 503: the relay is going down/);
    assert.ok(await answers());
    assert.ok(performance.now() - began < DRAIN_MS, "the session was served during the grace");
    assert.deepEqual(await draining.service.waitForExit(), { code: 0, signal: null });
    assert.ok(performance.now() - began >= DRAIN_MS);
    await agent.waitForOutput(/session ended: the relay is going down/);
    const [refused, down] = ["refusal", "session-down"].map((type) =>
      draining.audit().find((record) => record["type"] === type),
    );
    assert.deepEqual([refused?.["what"], refused?.["code"], down?.["reason"]], ["session", 503, "drain"]);
    await second.stop();
    await relay.start();
    await waitFor("the agent's return", answers, RECONNECT_MS);
  });

  test("a relay that drains waits for nobody when its last session is gone", async () => {
    const draining = await startWithGrace("60s");
    const agent = await open(0);
    draining.service.signal("SIGTERM");
    await draining.service.waitForOutput(/"msg":"draining"/);
    await agent.stop();
    assert.deepEqual(await draining.service.waitForExit(), { code: 0, signal: null });
  });

  test("a default route through the tunnel leaves the relay reachable, and nothing else", async () => {
    await relay.start();
    await open(0, ["--route", "default"]);
    assert.match(network.agents[0].ip("route", "get", RELAY.ipv4), /via 198\.51\.100\.2 dev wan/);
    assert.match(network.agents[0].ip("route", "get", "203.0.113.9"), new RegExp(`dev ${DEVICE}`));
    assert.match(network.agents[0].ip("-6", "route", "get", "2001:db8:99::1"), new RegExp(`dev ${DEVICE}`));
    assert.equal((await probe(network.agents[0], { protocol: "tcp", host: TARGET_A.ipv6, port: 7 })).answer, "echo");
  });

  test("the same over IPv6 outside", async () => {
    const before = await machineState(network.agents[0]);
    await relay.start();
    const options = { certificates, name: "client-1", relay: `[${RELAY.ipv6}]:4433`, flags: ["--route", "default"] };
    const agent = startAgent(network.agents[0], options);
    agents.push(agent);
    await tunnelOpen(agent);
    assert.match(network.agents[0].ip("-6", "route", "get", RELAY.ipv6), /via 2001:db8:1::2 dev wan/);
    assert.ok(await answers());
    await agent.stop();
    assert.deepEqual(await machineState(network.agents[0]), before);
  });

  test("kill -9 of the relay: the agent is back soon after its return, nothing is left or doubled", async () => {
    const before = await machineState(network.relay);
    await relay.start();
    const agent = await open(0, ["--route", "default"]);
    const routes = ownRoutes();
    relay.service.signal("SIGKILL");
    await relay.service.waitForExit();
    assert.equal((await ping(network.agents[0], TARGET_A.ipv4, 1)).received, 0);
    await relay.start();
    const back = performance.now();
    await waitFor("the agent's return", answers, RECONNECT_MS);
    assert.ok(performance.now() - back < RECONNECT_MS);
    await waitFor("its routes", () => ownRoutes() === routes);
    assert.deepEqual(await tables(), [`table inet zgate_${DEVICE}`]);
    await agent.stop();
    await relay.stop();
    assert.deepEqual(await machineState(network.relay), before);
  });

  test("kill -9 of the agent: the next one replaces its session at once, with the same address", async () => {
    const before = await machineState(network.agents[0]);
    await relay.start();
    const first = await open(0, ["--route", "default"]);
    const address = network.agents[0].ip("-4", "-o", "address", "show", "dev", DEVICE);
    first.signal("SIGKILL");
    await first.waitForExit();
    assert.match(network.agents[0].ip("route"), /192\.0\.2\.1 via/);
    const killed = performance.now();
    const second = await open(0, ["--route", "default"]);
    assert.ok(performance.now() - killed < REPLACE_MS);
    assert.ok(await answers());
    const lease = (line: string): string | undefined => /10\.77\.\d+\.\d+/.exec(line)?.[0];
    assert.equal(lease(network.agents[0].ip("-4", "-o", "address", "show", "dev", DEVICE)), lease(address));
    const down = await waitFor("the audit record of the first session's end", () =>
      relay.audit().find((record) => record["type"] === "session-down"),
    );
    assert.equal(down["reason"], "replaced");
    const status = JSON.parse((await relay.get("/v1/status")) ?? "{}") as { sessions?: number };
    assert.equal(status.sessions, 1);
    await second.stop();
    assert.deepEqual(await machineState(network.agents[0]), before);
    await relay.stop();
  });

  test("kill -9 of both: two starts and two stops repair everything", async () => {
    const [agentBefore, relayBefore] = [await machineState(network.agents[0]), await machineState(network.relay)];
    await relay.start();
    const agent = await open(0, ["--route", "default"]);
    agent.signal("SIGKILL");
    relay.service.signal("SIGKILL");
    await Promise.all([agent.waitForExit(), relay.service.waitForExit()]);
    assert.notDeepEqual(await machineState(network.relay), relayBefore);
    await relay.start();
    const next = await open(0);
    await next.stop();
    await relay.stop();
    assert.deepEqual(await machineState(network.agents[0]), agentBefore);
    assert.deepEqual(await machineState(network.relay), relayBefore);
  });

  test("the same client on another machine takes over, and the first one says so", async () => {
    await relay.start();
    const first = await open(0);
    await open(1);
    await first.waitForOutput(/"msg":"session ended: the same client opened a newer session"/);
    assert.equal((await ping(network.agents[1], TARGET_A.ipv4, 1)).received, 1);
  });

  test("an agent whose relay is not there keeps trying and says so", async () => {
    const agent = startAgent(network.agents[0], { certificates, name: "client-1" });
    agents.push(agent);
    await agent.waitForOutput(/ZG_CONNECT_FAILED/, START_TIMEOUT_MS);
    await relay.start();
    await tunnelOpen(agent, START_TIMEOUT_MS);
    assert.ok(await answers());
  });

  // The last one: it takes the first agent's network away.
  test("an agent that moves to another network is back by the new way, with the same address", async () => {
    await relay.start();
    await open(0, ["--route", "default"]);
    assert.ok(await answers());
    connect(
      { namespace: network.agents[0], name: "wifi", addresses: ["198.51.100.9/30"] },
      { namespace: network.internet, name: "wifi", addresses: ["198.51.100.10/30"] },
    );
    network.agents[0].ip("link", "set", "wan", "down");
    network.agents[0].ip("route", "add", "default", "via", "198.51.100.10");
    await waitFor("the agent's return", answers, MOVE_MS);
    assert.match(network.agents[0].ip("route", "get", RELAY.ipv4), /via 198\.51\.100\.10 dev wifi/);
    assert.match(network.agents[0].ip("address", "show", "dev", DEVICE), /10\.77\.0\.2\/32/);
  });
});
