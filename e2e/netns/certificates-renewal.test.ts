/** Certificates that end while their sessions go on: renewed by the relay, by a service of its own, or not at all. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { Namespace } from "../harness/namespace.ts";
import { clientIdentity } from "../../shared/pki/identity.ts";
import type { Identity } from "../../shared/pki/identity.ts";
import { issueLeaf } from "../../shared/pki/issuance.ts";
import type { RevocationReason } from "../../shared/pki/ledger.ts";
import { pemBlocks, pemBytes } from "../../shared/pki/pem.ts";
import { revoke } from "../../shared/pki/revocation.ts";
import { contentSha256 } from "../harness/content.ts";
import { waitFor } from "../harness/process.ts";
import type { Service } from "../harness/process.ts";
import { Certificates, RelayProcess, startAgent, tunnelOpen } from "../harness/product.ts";
import { layTopology, RELAY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const CLIENTS = ["kept", "served", "reconsidered", "forgotten"] as const;
const rules = `rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }]`;
const policy = (disabled?: string): string =>
  `version: "1.0"\nclients:\n${CLIENTS.map((name) => `  ${name}: { enabled: ${name !== disabled}, ${rules} }\n`).join("")}`;
/** An agent looks at its certificate every 1,000 ms; this life ends within the download. Milliseconds. */
const SHORT_LIFE_MS = 12_000;
/** Due at once, as certificates begin 5 minutes before their issue, and again long after the test. Milliseconds. */
const LONGER_LIFE_MS = 120_000;
/** For an agent to start in, and not to renew. Milliseconds. */
const SHORTEST_LIFE_MS = 8_000;
const DOWNLOAD_BYTES = 40_000_000;
/** Bytes a second: the download takes 20 s. */
const DOWNLOAD_RATE = 2_000_000;
const DOWNLOAD_TIMEOUT_MS = 90_000;
/** How long a renewal, or another attempt to connect, may take to come, milliseconds: some looks of the agent. */
const AGENT_WAIT_MS = 15_000;
/** From the revocation to the end of the session, in milliseconds (issue 5). */
const REVOCATION_MS = 1_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("renewal", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;
  let home: Namespace;

  before(async () => {
    network = layTopology("renew");
    home = network.agents[0];
    certificates = await Certificates.create();
    const target = join(import.meta.dirname, "../harness/target.ts");
    await network.targetA.spawn([process.execPath, target]).waitForOutput(/ready/);
    const crl = ["--crl", join(certificates.folder, "crl.pem")];
    const flags = ["--enroll", "[::]:4433", "--authority", certificates.folder, ...crl];
    relay = new RelayProcess(network.relay, { certificates, policy: policy(), flags });
    await relay.start();
  });
  after(() => network.close());
  afterEach(async () => {
    await running?.stop();
  });
  let running: Service | undefined;

  /** An agent of that client, whose certificate lives so long from now on, and that certificate. */
  async function start(
    name: (typeof CLIENTS)[number],
    lifetimeMs: number,
    flags: readonly string[] = [],
  ): Promise<{ agent: Service; first: Identity }> {
    const { folder } = certificates;
    const leaf = { folder, kind: "client", name, names: [], keyType: "p256", now: new Date() } as const;
    const { certificatePath } = await issueLeaf({ ...leaf, lifetimeMs });
    const [pem = ""] = pemBlocks(name, await readFile(certificatePath, "utf8"), "CERTIFICATE");
    running = startAgent(home, { certificates, name, flags });
    await tunnelOpen(running);
    return { agent: running, first: clientIdentity(pemBytes(pem)) };
  }

  async function downloadIsWhole(): Promise<void> {
    const url = `http://${TARGET_A.ipv4}/bytes/${DOWNLOAD_BYTES}`;
    const download = `curl -sS -m 80 --limit-rate ${DOWNLOAD_RATE} '${url}' | sha256sum`;
    const sum = await home.check(["sh", "-c", download], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    assert.equal(sum.split(" ")[0], contentSha256(DOWNLOAD_BYTES));
  }

  const records = (type: string, client: string): Record<string, unknown>[] =>
    relay.audit().filter((record) => record["type"] === type && record["client"] === client);
  const status = async (client: string): Promise<readonly Record<string, unknown>[]> =>
    (JSON.parse((await relay.get(`/v1/status?client=${client}`)) ?? "{}") as { list: Record<string, unknown>[] }).list;
  const renewed = (client: string): Promise<Record<string, unknown>> =>
    waitFor("the renewal", () => records("session-renewed", client).at(-1), AGENT_WAIT_MS);

  /** Revokes one certificate, and expects the client's session to end for it. */
  async function assertRevocationEnds(
    client: string,
    serial: string,
    reason: RevocationReason,
    agent: Service,
  ): Promise<void> {
    const revoked = performance.now();
    await revoke({ folder: certificates.folder, what: serial, reason, now: new Date() });
    const down = await waitFor("the session's end", () => records("session-down", client).at(-1));
    const took = performance.now() - revoked;
    assert.ok(took < REVOCATION_MS, `${took} ms`);
    assert.equal(down["reason"], "revoked");
    assert.match(String(down["detail"]), new RegExp(`^the certificate ${serial} was revoked`));
    await agent.waitForOutput(new RegExp(`session ended: the certificate ${serial} was revoked`));
  }

  test("by the relay: the session outlives its first certificate, a running download loses no byte", async () => {
    const { agent, first } = await start("kept", SHORT_LIFE_MS, ["--renew", "on"]);
    const opened = await waitFor("the session in the audit", () => records("session-up", "kept")[0]);
    assert.equal(opened["serial"], first.serial);
    await downloadIsWhole();
    assert.ok(Date.now() > first.notAfter);
    const renewals = records("session-renewed", "kept");
    assert.ok(renewals.length >= 2, agent.stderr);
    const last = renewals.at(-1);
    const [session, ...others] = await status("kept");
    assert.deepEqual(others, []);
    assert.deepEqual(
      [session?.["id"], session?.["serial"], session?.["notAfter"]],
      [opened["session"], last?.["serial"], last?.["notAfter"]],
    );
    assert.equal(records("session-up", "kept").length, 1);
    assert.doesNotMatch(agent.stderr, /session ended/);
    await assertRevocationEnds("kept", String(last?.["serial"]), "keyCompromise", agent);
  });

  test("revoking the certificate that was renewed ends the session as well, and for a stolen key all that came of it", async () => {
    const { agent, first } = await start("reconsidered", LONGER_LIFE_MS, ["--renew", "on"]);
    const { serial, replaces } = await renewed("reconsidered");
    assert.equal(replaces, first.serial);
    await assertRevocationEnds("reconsidered", first.serial, "superseded", agent);
    const again = await waitFor("a session with the new one", () => records("session-up", "reconsidered")[1]);
    assert.equal(again["serial"], serial);
    await revoke({ folder: certificates.folder, what: first.serial, reason: "keyCompromise", now: new Date() });
    const down = await waitFor("its end", () => records("session-down", "reconsidered")[1]);
    assert.equal(down["detail"], `the certificate ${String(serial)} was revoked`);
  });

  test("by a service of its own: another session behind the same device, no byte is lost; none for a client that is disabled", async () => {
    const { agent } = await start("served", SHORT_LIFE_MS, ["--renew", `${RELAY.ipv4}:4433`]);
    await downloadIsWhole();
    assert.ok(records("session-up", "served").length >= 2);
    assert.deepEqual(records("session-renewed", "served"), []);
    writeFileSync(relay.policyFile, policy("served"));
    await agent.waitForOutput(/was not renewed: .*the policy has the client served disabled/, AGENT_WAIT_MS);
  });

  test("not at all: the session ends with its certificate, with the reason on both sides", async () => {
    const { agent, first } = await start("forgotten", SHORTEST_LIFE_MS);
    const expired = new RegExp(`the certificate ${first.serial} of this session has expired on \\d{4}-`);
    await agent.waitForOutput(expired, SHORTEST_LIFE_MS + 2_000);
    const down = await waitFor("the session's end in the audit", () => records("session-down", "forgotten")[0]);
    assert.equal(down["reason"], "expired");
    assert.match(String(down["detail"]), expired);
    assert.ok(Date.parse(String(down["end"])) >= first.notAfter);
    await agent.waitForOutput(/ZG_TLS_MATERIAL.*forgotten\.pem: the certificate has expired/, AGENT_WAIT_MS);
  });
});
