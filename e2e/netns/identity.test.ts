/** Who may not come in, and that both sides say why. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pythonWithAioquic } from "../interop/python.ts";
import { waitFor } from "../harness/process.ts";
import { Certificates, DEVICE, openAgent, RelayProcess, startAgent } from "../harness/product.ts";
import { shakeHands } from "../harness/reachability.ts";
import { layTopology, RELAY } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
  client-off: { enabled: false, rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
/** The alert certificate_required (RFC 8446 section 6.2) as QUIC carries it (RFC 9001 section 4.8). */
const CERTIFICATE_REQUIRED = 0x100 + 116;
const DAY_MS = 86_400_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("identity", { skip }, () => {
  let network: Topology;
  let relay: RelayProcess;
  let certificates: Certificates;
  let others: Certificates;

  before(async () => {
    network = layTopology("identity");
    certificates = await Certificates.create();
    others = await Certificates.create();
    await certificates.issueClient("client-1");
    await certificates.issueClient("client-off");
    await certificates.issueClient("stranger");
    await certificates.issueClient("expired", new Date(Date.now() - 10 * DAY_MS));
    await others.issueClient("client-1");
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY });
    await relay.start();
  });

  after(() => network.close());

  for (const { name, says } of [
    { name: "stranger", says: /the policy does not know the client stranger/ },
    { name: "client-off", says: /the policy has the client client-off disabled/ },
  ]) {
    test(`the client ${name} has a good certificate and is refused by the policy`, async () => {
      const agent = startAgent(network.agents[0], { certificates, name });
      const [line] = await agent.waitForOutput(new RegExp(`^.*${says.source}.*$`, "m"));
      assert.match(line, /403/);
      const record = await refusal({ what: "session", client: name, code: 403 });
      assert.match(String(record["reason"]), says);
      await relay.service.waitForOutput(says);
      assert.doesNotMatch(network.agents[0].ip("address"), /10\.77\./);
      await agent.stop();
    });
  }

  test("a certificate of another CA is refused in the handshake", async () => {
    const result = await shakeHands(network.agents[0], others, "client-1", certificates);
    assert.equal(result.connected, false, JSON.stringify(result));
    await refusal({ what: "handshake" }, /unknown|issuer|ca/i);
  });

  test("an expired certificate is refused by the agent, and by the relay if it comes", async () => {
    const agent = startAgent(network.agents[0], { certificates, name: "expired" });
    assert.notEqual((await agent.waitForExit()).code, 0);
    assert.match(agent.stderr, /expired/i);
    const result = await shakeHands(network.agents[0], certificates, "expired");
    assert.equal(result.connected, false, JSON.stringify(result));
    await refusal({ what: "handshake" }, /expired/i);
  });

  test("no certificate is refused in the handshake, here aioquic's: our own client always shows one", async () => {
    const script = join(import.meta.dirname, "../interop/aioquic_client.py");
    const argv = ["-B", script, "refused", `${RELAY.ipv4}:4433`, "relay.example", join(certificates.folder, "ca.pem")];
    const code = await network.agents[0].check([await pythonWithAioquic(), ...argv]);
    assert.equal(Number(code), CERTIFICATE_REQUIRED);
    await refusal({ what: "handshake" }, /certificate/i);
  });

  test("a relay of another CA is refused by the agent", async () => {
    const trusting = startAgent(network.agents[0], { certificates: others, name: "client-1" });
    const [line] = await trusting.waitForOutput(/^.*ZG_TLS_HANDSHAKE.*$/m);
    assert.match(line, /certificate|issuer/i);
    await trusting.stop();
  });

  test("a known client comes in all the while", async () => {
    const agent = await openAgent(network.agents[0], { certificates, name: "client-1" });
    assert.match(network.agents[0].ip("address", "show", "dev", DEVICE), /10\.77\.0\.\d+\/32/);
    await agent.stop();
  });

  function refusal(fields: Readonly<Record<string, unknown>>, reason = /./): Promise<Record<string, unknown>> {
    return waitFor(`a refusal with ${JSON.stringify(fields)} and ${reason}`, () =>
      relay
        .audit()
        .find(
          (record) =>
            record["type"] === "refusal" &&
            reason.test(String(record["reason"])) &&
            Object.entries(fields).every(([key, value]) => record[key] === value),
        ),
    );
  }
});
