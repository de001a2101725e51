/**
 * A UDP socket whose buffer is full now and then (topology: e2e/harness/topology.ts): what waits is sent when there is
 * room again. The buffer here is large enough: strace(1) puts the error into what the kernel answers.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Certificates, openAgent, RelayProcess } from "../harness/product.ts";
import { ping } from "../harness/reachability.ts";
import { underFault } from "../harness/system-calls.ts";
import { layTopology, PRIVATE_NETWORK_POLICY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";
import { transferBothWays } from "../harness/transfer.ts";

const TRANSFER_BYTES = 8_000_000;
/** How long a transfer may take: strace stops the process twice for each call. Milliseconds. */
const TRANSFER_MS = 60_000;
const PINGS = 200;
/** Every third sendmsg(2), once the namespace and the device are set up. */
const REFUSED_CALLS = "200+3";

const UNDER = underFault("sendmsg", `error=EAGAIN:when=${REFUSED_CALLS}`);

const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("a UDP socket's buffer is full", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;

  before(async () => {
    network = layTopology("buffer");
    certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    const target = join(import.meta.dirname, "../harness/target.ts");
    await network.targetA.spawn([process.execPath, target]).waitForOutput(/ready/);
  });

  after(() => network.close());

  for (const [name, relayUnder, agentUnder] of [
    ["at the relay", UNDER, []],
    ["at the agent", [], UNDER],
  ] as const) {
    test(`${name}: every byte arrives, and no ping of a quiet tunnel is lost`, async (t) => {
      const relay = new RelayProcess(network.relay, {
        certificates,
        policy: PRIVATE_NETWORK_POLICY,
        under: relayUnder,
      });
      t.after(() => relay.stop());
      await relay.start();
      const [from] = network.agents;
      const agent = await openAgent(from, { certificates, name: "client-1", under: agentUnder });
      t.after(() => agent.stop());
      for (const host of Object.values(TARGET_A)) {
        await transferBothWays(from, host, TRANSFER_BYTES, TRANSFER_MS);
        assert.equal((await ping(from, host, PINGS)).received, PINGS);
      }
    });
  }
});
