/** A policy that is edited while traffic flows. */
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { waitFor } from "../harness/process.ts";
import { Certificates, openAgent, RelayProcess } from "../harness/product.ts";
import { ping, probe } from "../harness/reachability.ts";
import { layTopology, PRIVATE_NETWORK, TARGET_A, TARGET_B } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const policy = (destinations: readonly string[]): string => `version: "1.0"
clients:
  client-1:
    rules:
      - id: targets
        type: ip_cidr
        action: allow
        destinations: [${destinations.join(", ")}]
`;
const ONLY_A = policy([`${TARGET_A.ipv4}/32`]);
const ONLY_B = policy([`${TARGET_B.ipv4}/32`]);
const BOTH = policy([`${TARGET_A.ipv4}/32`, `${TARGET_B.ipv4}/32`]);
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("policy change", { skip }, () => {
  let network: Topology;
  let relay: RelayProcess;

  before(async () => {
    network = layTopology("policy");
    const certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    for (const target of [network.targetA, network.targetB]) {
      await target.spawn([process.execPath, join(import.meta.dirname, "../harness/target.ts")]).waitForOutput(/ready/);
    }
    relay = new RelayProcess(network.relay, { certificates, policy: ONLY_A });
    await relay.start();
    await openAgent(network.agents[0], { certificates, name: "client-1", flags: ["--route", PRIVATE_NETWORK.ipv4] });
  });

  after(() => network.close());

  const reaches = async (host: string): Promise<boolean> => (await ping(network.agents[0], host, 1)).received === 1;
  const outcomes = (outcome: string): Record<string, unknown>[] =>
    relay.audit().filter((record) => record["type"] === "policy" && record["outcome"] === outcome);

  test("a change written in place takes effect at once, both ways", async () => {
    assert.ok(await reaches(TARGET_A.ipv4));
    assert.ok(!(await reaches(TARGET_B.ipv4)));
    const applied = outcomes("applied").length;
    writeFileSync(relay.policyFile, ONLY_B);
    await waitFor("the new policy", () => outcomes("applied").length > applied);
    assert.ok(await reaches(TARGET_B.ipv4));
    assert.ok(!(await reaches(TARGET_A.ipv4)));
  });

  test("a change renamed over the file takes effect too, on a flow in progress", async () => {
    writeFileSync(relay.policyFile, BOTH);
    await waitFor("both targets", async () => (await reaches(TARGET_A.ipv4)) && (await reaches(TARGET_B.ipv4)));
    const flow = network.agents[0].spawn(["ping", "-n", "-O", "-i", "0.02", TARGET_A.ipv4]);
    const neighbour = network.agents[0].spawn(["ping", "-n", "-O", "-i", "0.02", TARGET_B.ipv4]);
    await Promise.all([flow.waitForOutput(/icmp_seq=5 .*time=/), neighbour.waitForOutput(/icmp_seq=5 .*time=/)]);
    writeFileSync(`${relay.policyFile}.new`, ONLY_B);
    renameSync(`${relay.policyFile}.new`, relay.policyFile);
    await flow.waitForOutput(/no answer yet|prohibited|filtered/i);
    await flow.stop();
    await neighbour.stop();
    // Late is not lost: this machine may have other things to do.
    const answered = [...neighbour.stdout.matchAll(/icmp_seq=(\d+) .*time=/g)].map((match) => Number(match[1]));
    assert.deepEqual(
      answered.toSorted((a, b) => a - b),
      answered.map((_, index) => index + 1),
    );
    assert.doesNotMatch(neighbour.stdout, /unreachable|prohibited/i);
  });

  test("one of the relay's own addresses is opened by naming it alone, and closed again", async () => {
    const relayLeg = "10.50.1.1";
    writeFileSync(relay.policyFile, policy([PRIVATE_NETWORK.ipv4]));
    await waitFor("the wide policy", () => reaches(TARGET_B.ipv4));
    assert.ok(!(await reaches(relayLeg)), "a wide prefix does not open it");
    writeFileSync(relay.policyFile, policy([PRIVATE_NETWORK.ipv4, relayLeg]));
    await waitFor("the relay's address", () => reaches(relayLeg));
    writeFileSync(relay.policyFile, BOTH);
    await waitFor("the relay's address to close", async () => !(await reaches(relayLeg)));
    assert.ok(await reaches(TARGET_A.ipv4));
  });

  for (const { name, text, says } of [
    { name: "YAML that cannot be read", text: "version: [", says: /policy\.yaml:\d+:\d+: / },
    {
      name: "an unknown key",
      text: ONLY_A.replace("destinations", "destination"),
      says: /policy\.yaml:8:9: .*did you mean/,
    },
    { name: "a bad prefix", text: ONLY_A.replace("/32", "/33"), says: /policy\.yaml:8:\d+: / },
    { name: "an empty file", text: "", says: /policy\.yaml:\d+:\d+: / },
  ]) {
    test(`${name} is refused with its place, and the policy in force stays`, async () => {
      writeFileSync(relay.policyFile, ONLY_A);
      await waitFor("target-a alone", async () => (await reaches(TARGET_A.ipv4)) && !(await reaches(TARGET_B.ipv4)));
      // Renamed over it: who looks between the truncation and the text of a file that is written in place finds it empty.
      const refused = outcomes("refused").length;
      writeFileSync(`${relay.policyFile}.new`, text);
      renameSync(`${relay.policyFile}.new`, relay.policyFile);
      const record = await waitFor("the refusal in the audit", () => outcomes("refused")[refused]);
      assert.match(String((record["problems"] as string[])[0]), says);
      await relay.service.waitForOutput(says);
      assert.ok(await reaches(TARGET_A.ipv4));
      assert.ok(!(await reaches(TARGET_B.ipv4)));
      assert.ok((await relay.get("/healthz")) !== undefined);
    });
  }

  test("a deny in front of an allowed TCP flow makes its program fail at once", async () => {
    writeFileSync(relay.policyFile, BOTH);
    await waitFor("both targets", async () => (await reaches(TARGET_A.ipv4)) && (await reaches(TARGET_B.ipv4)));
    const download = network.agents[0].spawn([
      "curl",
      "-sS",
      "-o",
      "/dev/null",
      "--limit-rate",
      "1M",
      `http://${TARGET_A.ipv4}/bytes/100000000`,
    ]);
    await waitFor("the download in the relay's status", async () =>
      /"flows":[1-9]/.test((await relay.get("/v1/status")) ?? ""),
    );
    writeFileSync(relay.policyFile, ONLY_B);
    const { code } = await download.waitForExit();
    assert.notEqual(code, 0);
    assert.equal((await probe(network.agents[0], { protocol: "tcp", host: TARGET_B.ipv4, port: 7 })).answer, "echo");
  });
});
