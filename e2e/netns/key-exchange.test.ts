/**
 * Post-quantum key exchange on real devices: what each pair of settings agrees on, as both sides report it, and that
 * those without a common group are told the same sentence on both sides.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { KeyExchange } from "../../shared/native/quic.ts";
import { waitFor } from "../harness/process.ts";
import { Certificates, jsonLines, RelayProcess, startAgent, tunnelOpen } from "../harness/product.ts";
import { probe } from "../harness/reachability.ts";
import { layTopology, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
/** The agent's admin address in its namespace. */
const ADMIN = "127.0.0.1:9444";
const HYBRID = "X25519MLKEM768";
const CLASSICAL = "X25519";

const refusedFor = (strict: string, classical: string): string =>
  `the ${strict} requires post-quantum key exchange (X25519MLKEM768) and the ${classical} is set to classical: ` +
  "set key_exchange of the one or the other to prefer-pq (TLS alert 40 handshake_failure: ";

interface Pair {
  readonly agent: KeyExchange;
  readonly group?: string;
  /** How the refusal begins, where they have no group in common. */
  readonly refused?: string;
}
const RELAYS: readonly { readonly relay: KeyExchange; readonly agents: readonly Pair[] }[] = [
  {
    relay: "prefer-pq",
    agents: [
      { agent: "prefer-pq", group: HYBRID },
      { agent: "require-pq", group: HYBRID },
      { agent: "classical", group: CLASSICAL },
    ],
  },
  {
    relay: "require-pq",
    agents: [
      { agent: "require-pq", group: HYBRID },
      { agent: "classical", refused: refusedFor("relay", "agent") },
    ],
  },
  {
    relay: "classical",
    agents: [
      { agent: "prefer-pq", group: CLASSICAL },
      { agent: "require-pq", refused: refusedFor("agent", "relay") },
    ],
  },
];
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("key exchange", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;

  before(async () => {
    network = layTopology("kx");
    certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    const target = new URL("../harness/target.ts", import.meta.url).pathname;
    await network.targetA.spawn([process.execPath, target]).waitForOutput(/ready/);
  });
  after(() => network.close());

  for (const { relay: setting, agents } of RELAYS) {
    describe(`a relay with ${setting}`, () => {
      let relay: RelayProcess;

      before(async () => {
        relay = new RelayProcess(network.relay, { certificates, policy: POLICY, flags: ["--key-exchange", setting] });
        await relay.start();
      });
      after(() => relay.stop());

      for (const { agent: keyExchange, group, refused } of agents) {
        const options = (): Parameters<typeof startAgent>[1] => ({
          certificates,
          name: "client-1",
          flags: ["--key-exchange", keyExchange, "--admin", ADMIN],
        });
        if (group !== undefined) {
          test(`and an agent with ${keyExchange} agree on ${group}`, async (t) => {
            const counter = `zgate_handshakes_total{group="${group}"}`;
            const counted = (await relay.metrics()).get(counter) ?? 0;
            const agent = startAgent(network.agents[0], options());
            t.after(() => agent.stop());
            await tunnelOpen(agent);
            const { answer } = await probe(network.agents[0], { protocol: "udp", host: TARGET_A.ipv4, port: 7 });
            assert.equal(answer, "echo");
            assert.equal((await agentStatus())["keyExchange"], group);
            const said = await waitFor("the agent's log to say so", () =>
              jsonLines(agent.stderr).find(({ msg }) => msg === "session is open"),
            );
            assert.equal(said["keyExchange"], group);
            assert.equal((await relay.metrics()).get(counter), counted + 1);
            const listed = JSON.parse((await relay.get("/v1/status")) ?? "") as {
              list: { id: string; group: string }[];
            };
            assert.deepEqual(
              listed.list.map((session) => session.group),
              [group],
            );
            const id = listed.list[0]?.id;
            const recorded = await waitFor("the session in the audit", () =>
              relay.audit().find(({ type, session }) => type === "session-up" && session === id),
            );
            assert.equal(recorded["group"], group);
            const logged = await waitFor("the session in the log", () =>
              relay.log().find(({ msg, session }) => msg === "session is open" && session === id),
            );
            assert.equal(logged["group"], group);
            await agent.stop();
            await waitFor("the end of the session", () => relay.audit().at(-1)?.["type"] === "session-down");
          });
        } else if (refused !== undefined) {
          test(`and an agent with ${keyExchange} refuse each other in the same words`, async (t) => {
            const agent = startAgent(network.agents[0], options());
            t.after(() => agent.stop());
            const down = await waitFor("the agent's status to say why", async () => {
              const status = await agentStatus();
              return status["state"] === "down" && status;
            });
            const reason = String(down["reason"]);
            const sentence = reason.slice(reason.indexOf(": ") + 2);
            assert.ok(sentence.startsWith(refused), sentence);
            const told = await waitFor("the agent's log to say why", () =>
              jsonLines(agent.stderr).find(({ code }) => code === "ZG_TLS_HANDSHAKE"),
            );
            assert.equal(told["msg"], reason);
            const record = await waitFor("the refusal in the relay's audit", () =>
              relay.audit().find(({ type }) => type === "refusal"),
            );
            assert.equal(record["what"], "handshake");
            assert.equal(record["reason"], sentence);
            await waitFor("the refusal in the relay's log", () =>
              relay.log().some(({ msg }) => msg === `handshake refused: ${sentence}`),
            );
            const metrics = await relay.metrics();
            assert.ok((metrics.get('zgate_handshakes_refused_total{reason="no-common-group"}') ?? 0) > 0);
          });
        }
      }
    });
  }

  async function agentStatus(): Promise<Record<string, unknown>> {
    const status = await network.agents[0].check(["curl", "-sf", "-m", "5", `http://${ADMIN}/v1/status`]);
    return JSON.parse(status) as Record<string, unknown>;
  }
});
