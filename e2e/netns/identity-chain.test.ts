/**
 * Identity comes from the verified leaf and from nothing else: chains with certificates in them that are not the
 * client's own.
 *
 *   mallory's chain:  her leaf ▸ the victim's leaf ▸ a leaf of a CA that nobody trusts ▸ the issuing CA
 */
import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { TestAuthority } from "../../shared/native/test-certificates.ts";
import { readCertificate } from "../../shared/pki/authority.ts";
import { clientIdentity } from "../../shared/pki/identity.ts";
import { signingKeyOf } from "../../shared/pki/keys.ts";
import { pemBlocks, pemBytes } from "../../shared/pki/pem.ts";
import { createClient } from "../../shared/pki/profiles.ts";
import { pythonWithAioquic } from "../interop/python.ts";
import { waitFor } from "../harness/process.ts";
import { Certificates, openAgent, RelayProcess } from "../harness/product.ts";
import { probe, shakeHands } from "../harness/reachability.ts";
import { layTopology, RELAY, TARGET_A, TARGET_B } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const allow = (destination: string): string =>
  `rules: [{ id: one, type: ip_cidr, action: allow, destinations: [${destination}] }]`;
const POLICY = `
version: "1.0"
clients:
  mallory: { ${allow(TARGET_A.ipv4)} }
  victim: { ${allow(TARGET_B.ipv4)} }
  outsider: { ${allow(TARGET_A.ipv4)} }
`;
/** The alert decrypt_error (RFC 8446 section 4.4.3) as QUIC carries it (RFC 9001 section 4.8). */
const DECRYPT_ERROR = 0x100 + 51;
const HOUR_MS = 3_600_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("identity in a chain", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;
  let stranger: Certificates;
  let outsideRoot = "";
  const file = (name: string): string => join(certificates.folder, name);
  /** The first certificate of a PEM file: a leaf, or the issuing CA. */
  const first = (path: string): string => `${pemBlocks(path, readFileSync(path, "utf8"), "CERTIFICATE")[0]}\n`;
  const certificate = (name: "mallory" | "victim" | "unverified" | "issuing-ca"): string =>
    name === "unverified" ? first(join(stranger.folder, "victim.pem")) : first(file(`${name}.pem`));

  before(async () => {
    network = layTopology("chain");
    certificates = await Certificates.create();
    stranger = await Certificates.create();
    for (const name of ["mallory", "victim"]) await certificates.issueClient(name);
    await stranger.issueClient("victim");
    const outside = await TestAuthority.root("outside");
    outsideRoot = outside.pem;
    const site = await (await outside.intermediate("region")).intermediate("site");
    const outsider = await site.leaf("outsider");
    writeFileSync(file("outsider.pem"), outsider.certificatePem);
    writeFileSync(file("outsider-key.pem"), outsider.privateKeyPem, { mode: 0o600 });
    const target = join(import.meta.dirname, "../harness/target.ts");
    for (const namespace of [network.targetA, network.targetB]) {
      await namespace.spawn([process.execPath, target]).waitForOutput(/ready/);
    }
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY });
    await relay.start();
  });
  after(() => network.close());

  const sessions = (client: string): Record<string, unknown>[] =>
    relay.audit().filter((record) => record["type"] === "session-up" && record["client"] === client);
  const reaches = async (host: string): Promise<boolean> =>
    (await probe(network.agents[0], { protocol: "tcp", host, port: 7 })).answer === "echo";

  for (const chain of [
    ["mallory", "victim", "unverified", "issuing-ca"],
    ["mallory", "issuing-ca", "victim", "unverified"],
    ["mallory", "unverified", "issuing-ca", "victim"],
  ] as const) {
    test(`${chain.join(", ")}: it is mallory, with her policy and nothing of the victim's`, async () => {
      writeFileSync(file("mixed.pem"), chain.map(certificate).join(""));
      const own = clientIdentity(pemBytes(certificate("mallory")));
      const before = sessions("mallory").length;
      const files = ["--cert", file("mixed.pem"), "--key", file("mallory-key.pem"), "--ca", file("ca.pem")];
      // What the relay does not offer is sent into the tunnel all the same.
      const flags = [...files, "--route", TARGET_A.ipv4 + "/32", "--route", TARGET_B.ipv4 + "/32"];
      const agent = await openAgent(network.agents[0], { certificates, name: "mallory", flags });
      const session = await waitFor("the session in the audit", () => sessions("mallory")[before]);
      assert.equal(sessions("mallory").length, before + 1);
      assert.deepEqual([session["serial"], session["fingerprint"]], [own.serial, own.fingerprint256]);
      assert.deepEqual([await reaches(TARGET_A.ipv4), await reaches(TARGET_B.ipv4)], [true, false]);
      assert.ok(!(relay.service.stdout + relay.service.stderr).includes("victim"));
      await agent.stop();
    });
  }

  test("the victim's certificate first, with mallory's key: refused in the handshake", async () => {
    writeFileSync(file("stolen.pem"), (["victim", "mallory", "issuing-ca"] as const).map(certificate).join(""));
    // Our own client sends no certificate that is not of its key; aioquic does.
    const script = join(import.meta.dirname, "../interop/aioquic_client.py");
    const argv = ["-B", script, "refused", `${RELAY.ipv4}:4433`, "relay.example", file("ca.pem")];
    const stolen = [file("stolen.pem"), file("mallory-key.pem")];
    const code = await network.agents[0].check([await pythonWithAioquic(), ...argv, ...stolen]);
    assert.equal(Number(code), DECRYPT_ERROR);
    await assertRefused(/signature/i);
  });

  test("a certificate of the victim's name that mallory signed with her own: refused", async () => {
    const [path, keyPath] = [file("mallory.pem"), file("mallory-key.pem")];
    const key = await signingKeyOf(keyPath, readFileSync(keyPath, "utf8"));
    const issuer = { certificate: await readCertificate(path), key };
    const forged = await createClient("victim", key.publicKey, issuer, { now: new Date(), lifetimeMs: HOUR_MS });
    writeFileSync(file("forged.pem"), `${forged.toString("pem")}\n${readFileSync(path, "utf8")}`);
    copyFileSync(keyPath, file("forged-key.pem"));
    await assertNoHandshake(certificates, "forged", /CA|issuer/i);
  });

  test("a certificate of a CA with the same name and another key: refused", async () => {
    writeFileSync(join(stranger.folder, "victim.pem"), certificate("unverified") + certificate("issuing-ca"));
    await assertNoHandshake(stranger, "victim", /signature|issuer/i);
  });

  test("without the intermediate between it and the root: refused", async () => {
    writeFileSync(file("bare.pem"), certificate("mallory"));
    copyFileSync(file("mallory-key.pem"), file("bare-key.pem"));
    await assertNoHandshake(certificates, "bare", /issuer/i);
  });

  test("with two intermediates under the root of another authority: taken", async () => {
    await assertNoHandshake(certificates, "outsider", /issuer/i);
    appendFileSync(file("ca.pem"), outsideRoot);
    await relay.service.waitForOutput(/certificates were reloaded/);
    const agent = await openAgent(network.agents[0], { certificates, name: "outsider" });
    assert.ok(await reaches(TARGET_A.ipv4));
    await agent.stop();
  });

  async function assertNoHandshake(own: Certificates, name: string, reason: RegExp): Promise<void> {
    const before = refusals().length;
    const result = await shakeHands(network.agents[0], own, name, certificates);
    assert.equal(result.connected, false, JSON.stringify(result));
    await waitFor("the refusal in the audit", () => refusals().length > before);
    await assertRefused(reason);
  }

  const refusals = (): Record<string, unknown>[] =>
    relay.audit().filter((record) => record["type"] === "refusal" && record["what"] === "handshake");

  /** The last refusal says why, and names no client: nobody has shown who it is. */
  async function assertRefused(reason: RegExp): Promise<void> {
    const last = await waitFor("a refusal", () => refusals().at(-1));
    assert.match(String(last["reason"]), reason);
    assert.equal(last["client"], undefined);
  }
});
