/** What relay and agent are still allowed to do when they serve, each of their threads, and that it is enough. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { currentPrivileges } from "../../shared/host/privileges.ts";
import { CAPABILITY } from "../../shared/native/privileges.ts";
import { waitFor } from "../harness/process.ts";
import type { Service } from "../harness/process.ts";
import { Certificates, DEVICE, openAgent, RelayProcess } from "../harness/product.ts";
import { layTopology } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
const NET_ADMIN = 1n << BigInt(CAPABILITY.NET_ADMIN);
/** CAP_BPF, or CAP_SYS_ADMIN (linux/capability.h). */
const LOADS_PROGRAMS = (1n << 39n) | (1n << 21n);
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("least privilege", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;
  let relay: RelayProcess;
  let agent: Service;

  before(async () => {
    network = layTopology("privileges");
    certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY });
    await relay.start();
    agent = await openAgent(network.agents[0], { certificates, name: "client-1" });
  });

  after(() => network.close());

  test("every thread has CAP_NET_ADMIN, nothing else, and no way to gain more", () => {
    for (const { pid } of [relay.service, agent]) {
      const threads = readdirSync(`/proc/${pid}/task`);
      assert.ok(threads.length > 1);
      for (const thread of threads) {
        const status = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
        assert.deepEqual(currentPrivileges(status), { permitted: NET_ADMIN, mayGain: false }, status);
      }
    }
  });

  test("clients have queues of their own by their addresses, where the relay was started with CAP_BPF", async () => {
    const { permitted } = currentPrivileges(readFileSync("/proc/self/status", "utf8"));
    const lacking = /apart by their flows/;
    if ((permitted & LOADS_PROGRAMS) === 0n) await relay.service.waitForOutput(lacking);
    else assert.doesNotMatch(relay.service.stderr, lacking);
  });

  test("a renewed certificate is still taken, and the way out still works", async () => {
    const file = join(certificates.folder, "relay.pem");
    const renewed = `${file}.new`;
    writeFileSync(renewed, `${readFileSync(file, "utf8")}\n`);
    renameSync(renewed, file);
    await waitFor("the reload", () => /certificates were reloaded/.test(relay.service.stderr));
    await agent.stop();
    assert.deepEqual(await relay.stop(), { code: 0, signal: null });
    assert.doesNotMatch(await network.relay.check(["nft", "list", "tables"]), new RegExp(DEVICE));
    assert.equal(network.agents[0].ip("-j", "route", "show", "table", "all", "dev", "wan").includes("10.50"), false);
  });
});
