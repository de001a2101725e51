/** A new machine comes in with one line, and its certificate renews itself while it works. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { contentSha256 } from "../harness/content.ts";
import { waitFor } from "../harness/process.ts";
import { Certificates, RelayProcess, startAgent, temporaryFolder, tunnelOpen } from "../harness/product.ts";
import { layTopology, RELAY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  laptop: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
const ZGATE = join(import.meta.dirname, "../../cli/zgate");
/** A life of a minute, in days: a certificate of it is due for renewal at once, as it begins minutes before its issue. */
const MINUTE_IN_DAYS = "0.0007";
const DOWNLOAD_BYTES = 60_000_000;
/** Bytes a second, so that the download takes longer than a renewal is apart from the next. */
const DOWNLOAD_RATE = 5_000_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("enrolment", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;
  const machine = temporaryFolder();

  before(async () => {
    network = layTopology("enrol");
    certificates = await Certificates.create();
    const target = join(import.meta.dirname, "../harness/target.ts");
    await network.targetA.spawn([process.execPath, target]).waitForOutput(/ready/);
    const flags = ["--enroll", "[::]:4433", "--authority", certificates.folder];
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY, flags });
    await relay.start();
  });
  after(() => network.close());

  async function token(...flags: readonly string[]): Promise<string> {
    const where = ["--dir", certificates.folder, "--at", `${RELAY.ipv4}:4433`];
    return (
      await network.relay.check([ZGATE, "pki", "token", "create", "--client", "laptop", ...where, ...flags])
    ).trim();
  }
  const enroll = async (
    line: string,
    folder: string,
  ): Promise<{ code: number | null; stderr: string; stdout: string }> =>
    await network.agents[0].run([ZGATE, "agent", "enroll", line, "--dir", folder]);

  test("one line makes key and certificate on the new machine, and works once", async () => {
    const line = await token("--days", MINUTE_IN_DAYS);
    const first = await enroll(line, machine);
    assert.equal(first.code, 0, first.stderr);
    const second = await enroll(line, temporaryFolder());
    assert.equal(second.code, 5);
    assert.match(second.stderr, /^zgate: ZG_SESSION_REFUSED: .*the token is unknown, used, or has expired/);
    const secret = JSON.parse(Buffer.from(line.split(".")[1] ?? "", "base64url").toString("utf8")).secret;
    assert.ok(!(relay.service.stderr + relay.service.stdout).includes(secret));
  });

  test("an expired token is refused", async () => {
    const line = await token("--ttl", "1s");
    const expired = Date.now() + 1_000;
    await waitFor("the token's expiry", () => Date.now() > expired);
    const { code, stderr } = await enroll(line, temporaryFolder());
    assert.equal(code, 5);
    assert.match(stderr, /the token is unknown, used, or has expired/);
  });

  for (const [how, where] of [
    ["on the session's own connection", "on"],
    ["by the enrolment service", `${RELAY.ipv4}:4433`],
  ] as const)
    test(`renewals under a running download lose no byte: ${how}`, async () => {
      const file = (suffix: string): string => join(machine, `laptop${suffix}.pem`);
      const flags = ["--cert", file(""), "--key", file("-key"), "--ca", join(machine, "ca.pem"), "--renew", where];
      const agent = startAgent(network.agents[0], { certificates, name: "laptop", flags });
      await tunnelOpen(agent);
      const renewals = (): number => agent.stderr.split("the certificate was renewed").length - 1;
      const before = renewals();
      const url = `http://${TARGET_A.ipv4}/bytes/${DOWNLOAD_BYTES}`;
      const download = `curl -sS -m 60 --limit-rate ${DOWNLOAD_RATE} '${url}' | sha256sum`;
      const sum = (await network.agents[0].check(["sh", "-c", download], { timeoutMs: 60_000 })).split(" ")[0];
      assert.equal(sum, contentSha256(DOWNLOAD_BYTES));
      assert.ok(renewals() - before >= 1, agent.stderr);
      assert.ok(relay.audit().filter((record) => record["type"] === "session-up").length >= 2);
      await agent.stop();
    });
});
