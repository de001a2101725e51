/**
 * What the relay's packet filter does for packets that no policy judges: those that come from the private
 * network, and the MSS of TCP connections through a small tunnel.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { contentSha256 } from "../harness/content.ts";
import { Certificates, DEVICE, openAgent, RelayProcess } from "../harness/product.ts";
import { ping } from "../harness/reachability.ts";
import { layTopology, TARGET_A, TARGET_B } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1:
    rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16, "fd50::/48"] }]
`;
const CLIENT = { ipv4: "10.77.0.2", ipv6: "fd77:7a67::2" } as const;
/** The smallest MTU that IPv6 allows (RFC 8200 section 5). */
const SMALL_MTU = 1_280;
const DOWNLOAD_BYTES = 5_000_000;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("the relay's boundary", { skip }, () => {
  let network: Topology;

  before(async () => {
    network = layTopology("boundary");
    const certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    await network.targetA
      .spawn([process.execPath, join(import.meta.dirname, "../harness/target.ts")])
      .waitForOutput(/ready/);
    const flags = ["--mtu", `${SMALL_MTU}`];
    await new RelayProcess(network.relay, { certificates, policy: POLICY, flags }).start();
    await openAgent(network.agents[0], { certificates, name: "client-1" });
    for (const target of [network.targetA, network.targetB]) {
      const leg = target === network.targetA ? 1 : 2;
      target.ip("route", "add", "default", "via", `10.50.${leg}.1`);
      target.ip("-6", "route", "add", "default", "via", `fd50:0:0:${leg}::1`);
    }
  });

  after(() => network.close());

  /** Packets that rules with this comment dropped, all families together. */
  async function dropped(comment: string): Promise<number> {
    const rules = await network.relay.check(["nft", "list", "table", "inet", `zgate_${DEVICE}`]);
    const lines = rules.split("\n").filter((line) => line.includes(`comment "${comment}"`));
    return lines.reduce((sum, line) => sum + Number(/packets (\d+)/.exec(line)?.[1]), 0);
  }

  for (const family of ["ipv4", "ipv6"] as const) {
    test(`${family}: the private network cannot open a connection to a client`, async () => {
      assert.equal((await ping(network.agents[0], TARGET_A[family], 2)).received, 2);
      const before = await dropped("nobody asked for it");
      assert.equal((await ping(network.targetA, CLIENT[family], 3)).received, 0);
      assert.ok((await dropped("nobody asked for it")) >= before + 3);
    });

    test(`${family}: a tunnel address as source is dropped when it comes from elsewhere`, async () => {
      const before = await dropped("a tunnel address from elsewhere");
      const length = family === "ipv4" ? "32" : "128";
      const address = `${CLIENT[family]}/${length}`;
      network.targetA.ip("address", "add", address, "dev", "lan", ...(family === "ipv6" ? ["nodad"] : []));
      assert.equal((await ping(network.targetA, TARGET_B[family], 3, 10, ["-I", CLIENT[family]])).received, 0);
      network.targetA.ip("address", "delete", address, "dev", "lan");
      assert.equal(await dropped("a tunnel address from elsewhere"), before + 3);
    });

    test(`${family}: TCP fits into a tunnel of ${SMALL_MTU} bytes from the first segment on`, async () => {
      const host = family === "ipv6" ? `[${TARGET_A.ipv6}]` : TARGET_A.ipv4;
      const script = `curl -sS -m 20 http://${host}/bytes/${DOWNLOAD_BYTES} | sha256sum`;
      const [sum] = (await network.agents[0].check(["sh", "-c", script])).split(" ");
      assert.equal(sum, contentSha256(DOWNLOAD_BYTES));
    });
  }

  test("the targets see the relay, not the tunnel", async () => {
    const ask = (url: string): Promise<string> => network.agents[0].check(["curl", "-sS", "-m", "5", url]);
    assert.equal(await ask(`http://${TARGET_A.ipv4}/address`), "::ffff:10.50.1.1\n");
    assert.equal(await ask(`http://[${TARGET_A.ipv6}]/address`), "fd50:0:0:1::1\n");
  });
});
