/** A new machine comes in with one line. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { waitFor } from "../harness/process.ts";
import { Certificates, DEVICE, RelayProcess, temporaryFolder, tunnelOpen } from "../harness/product.ts";
import { layTopology, RELAY } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  laptop: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
const ZGATE = join(import.meta.dirname, "../../cli/zgate");
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
    const flags = ["--enroll", "[::]:4434", "--authority", certificates.folder];
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY, flags });
    await relay.start();
  });
  after(() => network.close());

  async function token(...flags: readonly string[]): Promise<string> {
    const where = ["--dir", certificates.folder, "--at", `${RELAY.ipv4}:4434`];
    return (
      await network.relay.check([ZGATE, "pki", "token", "create", "--client", "laptop", ...where, ...flags])
    ).trim();
  }
  const enroll = async (
    line: string,
    folder: string,
  ): Promise<{ code: number | null; stderr: string; stdout: string }> =>
    await network.agents[0].run([ZGATE, "agent", "enroll", line, "--dir", folder]);

  test("one line makes key and certificate on the new machine, opens a session, and works once", async (context) => {
    const line = await token();
    const asked = performance.now();
    const first = await enroll(line, machine);
    context.diagnostic(`from the line to the certificate: ${(performance.now() - asked).toFixed(0)} ms`);
    assert.equal(first.code, 0, first.stderr);
    const file = (name: string): string => join(machine, name);
    const files = `--cert ${file("laptop.pem")} --key ${file("laptop-key.pem")} --ca ${file("ca.pem")}`;
    assert.equal(first.stdout, `zgate agent --relay ${RELAY.ipv4}:4433 --renew on ${files}\n`);
    const printed = first.stdout.trim().split(" ").slice(1);
    const agent = network.agents[0].spawn([ZGATE, ...printed, "--tun-name", DEVICE]);
    await tunnelOpen(agent);
    await agent.stop();
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
});
