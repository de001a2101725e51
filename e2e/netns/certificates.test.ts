/** Certificates while relay and agents run: revocation, renewal, broken files. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { renewLeaf } from "../../shared/pki/issuance.ts";
import { revoke } from "../../shared/pki/revocation.ts";
import { waitFor } from "../harness/process.ts";
import type { Service } from "../harness/process.ts";
import { Certificates, openAgent, RelayProcess, startAgent } from "../harness/product.ts";
import { ping } from "../harness/reachability.ts";
import { layTopology, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
  client-2: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
/** From the revocation to the end of the session, in milliseconds (issue 5). */
const REVOCATION_MS = 1_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("certificates of a running network", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;
  let agents: [Service, Service];
  const file = (name: string): string => join(certificates.folder, name);

  before(async () => {
    network = layTopology("certs");
    certificates = await Certificates.create();
    for (const name of ["client-1", "client-2"]) await certificates.issueClient(name);
    const flags = ["--crl", file("crl.pem")];
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY, flags });
    await relay.start();
    agents = [
      await openAgent(network.agents[0], { certificates, name: "client-1" }),
      await openAgent(network.agents[1], { certificates, name: "client-2" }),
    ];
  });
  after(() => network.close());

  const answers = async (index: 0 | 1): Promise<boolean> =>
    (await ping(network.agents[index], TARGET_A.ipv4, 1)).received === 1;
  const reloads = (): number => relay.service.stderr.split("certificates were reloaded").length - 1;

  test("a renewed relay certificate is taken without a restart, sessions stay", async () => {
    const before = reloads();
    await renewLeaf({ folder: certificates.folder, name: "relay", keyType: "p256", now: new Date() });
    await waitFor("the new certificate", () => reloads() > before);
    assert.ok((await answers(0)) && (await answers(1)));
  });

  test("a broken file is refused, what was in force stays", async () => {
    const good = await readFile(file("relay.pem"));
    await writeFile(file("relay.pem"), good.subarray(0, 500));
    await relay.service.waitForOutput(
      /certificates stay as they were: .*relay\.pem: the PEM block CERTIFICATE in it has no end/,
    );
    await agents[1].stop();
    agents[1] = await openAgent(network.agents[1], { certificates, name: "client-2" });
    const before = reloads();
    await writeFile(file("relay.pem"), good);
    await waitFor("the good file", () => reloads() > before);
  });

  test("a revoked certificate's session ends within a second, the other's does not", async () => {
    assert.ok((await answers(0)) && (await answers(1)));
    const revoked = performance.now();
    await revoke({ folder: certificates.folder, what: "client-1", reason: "keyCompromise", now: new Date() });
    await relay.service.waitForOutput(/the certificate [0-9a-f]+ was revoked/);
    const took = performance.now() - revoked;
    assert.ok(took < REVOCATION_MS, `${took} ms`);
    await agents[0].waitForOutput(/the certificate [0-9a-f]+ was revoked/);
    // The audit is another stream than the log, and not behind it in any order.
    const down = await waitFor("the session's end in the audit", () =>
      relay.audit().find((record) => record["type"] === "session-down" && record["reason"] === "revoked"),
    );
    assert.equal(down["client"], "client-1");
    assert.match(String(down["detail"]), /the certificate [0-9a-f]+ was revoked/);
    assert.equal(await answers(0), false);
    assert.equal(await answers(1), true);
  });

  test("it is refused in the handshake, with the reason on both sides", async () => {
    await agents[0].stop();
    const agent = startAgent(network.agents[0], { certificates, name: "client-1" });
    await agent.waitForOutput(/revoked/i);
    await waitFor("the relay's refusal", () =>
      relay.audit().some((record) => /revoked/i.test(String(record["reason"]))),
    );
    await agent.stop();
  });
});
