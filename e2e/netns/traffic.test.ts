/**
 * Real traffic through a tunnel, and what the policy keeps out of it (topology: e2e/harness/topology.ts).
 * client-1 may use some ports of target-a; client-2 the whole private network.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { contentSha256 } from "../harness/content.ts";
import { waitFor } from "../harness/process.ts";
import { Certificates, DEVICE, openAgent, RelayProcess } from "../harness/product.ts";
import { ping, probe } from "../harness/reachability.ts";
import { layTopology, PRIVATE_NETWORK, TARGET_A, TARGET_B } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
default_action: deny
clients:
  client-1:
    description: Restricted
    rules:
      - id: some-ports
        type: ip_cidr
        action: allow
        destinations: [${TARGET_A.ipv4}/32, "${TARGET_A.ipv6}/128"]
        ports: [icmp, icmpv6, tcp/80, tcp/7, udp/7, udp/9, udp/53, udp/33434-33534]
      - { id: nothing-else, type: default, action: deny }
  client-2:
    description: Free
    rules:
      - id: private-network
        type: ip_cidr
        action: allow
        destinations: [${PRIVATE_NETWORK.ipv4}, "${PRIVATE_NETWORK.ipv6}"]
`;

const DOWNLOAD_BYTES = 100_000_000;
const UPLOAD_BYTES = 20_000_000;
/** UDP payloads: small, DNS, the most that a packet of 1,500 bytes carries, fragments. */
const DATAGRAM_BYTES = [32, 512, 1_232, 1_472, 4_000];

const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

/** Super-packets cross whole, are made and cut by the relay, or by the agent, or are nowhere. */
const OFFLOADS = [
  { relayOffload: "on", agentOffload: "on" },
  { relayOffload: "on", agentOffload: "off" },
  { relayOffload: "off", agentOffload: "on" },
  { relayOffload: "off", agentOffload: "off" },
] as const;

for (const { relayOffload, agentOffload } of OFFLOADS) {
  describe(`traffic, offload ${relayOffload} at the relay and ${agentOffload} at the agents`, { skip }, () => {
    defineTests(relayOffload, agentOffload);
  });
}

function defineTests(relayOffload: string, agentOffload: string): void {
  let network: Topology;
  let relay: RelayProcess;

  before(async () => {
    network = layTopology(`traffic.${relayOffload}.${agentOffload}`);
    const certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    await certificates.issueClient("client-2");
    for (const target of [network.targetA, network.targetB]) {
      await target.spawn([process.execPath, join(import.meta.dirname, "../harness/target.ts")]).waitForOutput(/ready/);
    }
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY, flags: ["--offload", relayOffload] });
    await relay.start();
    // What the policy allows is advertised; the rest has to be asked for, so that the relay can refuse it.
    const offload = ["--offload", agentOffload];
    const routes = ["--route", PRIVATE_NETWORK.ipv4, PRIVATE_NETWORK.ipv6];
    await openAgent(network.agents[0], { certificates, name: "client-1", flags: [...routes, ...offload] });
    await openAgent(network.agents[1], { certificates, name: "client-2", flags: offload });
    for (const agent of network.agents) {
      await waitFor("the first answer", async () => (await ping(agent, TARGET_A.ipv4, 1)).received === 1);
    }
  });

  after(() => network.close());

  for (const [family, host] of Object.entries(TARGET_A)) {
    test(`1,000 pings over ${family} without a loss`, async () => {
      assert.deepEqual(await ping(network.agents[0], host, 1_000, 2), { sent: 1_000, received: 1_000 });
    });

    test(`a download of 100 MB over ${family} arrives unchanged`, async () => {
      const url = `http://${family === "ipv6" ? `[${host}]` : host}/bytes/${DOWNLOAD_BYTES}`;
      const [sum] = (await shell(0, `curl -sS -m 60 '${url}' | sha256sum`)).split(" ");
      assert.equal(sum, contentSha256(DOWNLOAD_BYTES));
    });

    test(`an upload of 20 MB over ${family} arrives unchanged`, async () => {
      const url = `http://${family === "ipv6" ? `[${host}]` : host}/`;
      const source = `head -c ${UPLOAD_BYTES} /dev/urandom > /tmp/$$; sha256sum < /tmp/$$; curl -sS -m 60 --data-binary @/tmp/$$ -H 'Expect:' '${url}'; rm /tmp/$$`;
      const [sent, received] = (await shell(0, source)).split("\n");
      assert.equal(received, sent?.split(" ")[0]);
    });

    test(`datagrams of ${DATAGRAM_BYTES.join(", ")} bytes over ${family}`, async () => {
      for (const bytes of DATAGRAM_BYTES) {
        const { answer } = await probe(network.agents[0], {
          protocol: "udp",
          host,
          port: bytes === 32 ? 53 : 7,
          bytes,
        });
        // A later fragment carries no ports, so only a policy without ports lets it pass: client-2's.
        if (bytes <= 1_472 - (family === "ipv6" ? 20 : 0)) assert.equal(answer, "echo", `${bytes} bytes`);
        const free = await probe(network.agents[1], { protocol: "udp", host, port: 7, bytes });
        assert.equal(free.answer, "echo", `${bytes} bytes, free client`);
      }
    });

    test(`a closed UDP port over ${family} comes back as an ICMP error`, async () => {
      assert.equal((await probe(network.agents[0], { protocol: "udp", host, port: 9 })).answer, "refused");
    });

    test(`traceroute over ${family} shows the relay and the target`, async () => {
      const output = await network.agents[0].check(["traceroute", "-n", "-q", "1", "-w", "2", "-m", "5", host]);
      const hops = output
        .split("\n")
        .slice(1)
        .filter(Boolean)
        .map((line) => line.trim().split(/\s+/)[1]);
      assert.deepEqual(hops, [family === "ipv4" ? "10.77.0.1" : "fd77:7a67::1", host]);
    });
  }

  test("another destination is denied, and the audit says by which rule", async () => {
    for (const [family, host] of Object.entries(TARGET_B)) {
      assert.equal((await ping(network.agents[0], host, 2)).received, 0, family);
      assert.notEqual(
        (await probe(network.agents[0], { protocol: "tcp", host, port: 80, expectSilence: true })).answer,
        "echo",
      );
      assert.equal((await ping(network.agents[1], host, 2)).received, 2, family);
      const record = await flow({ client: "client-1", dst: host, action: "deny" });
      assert.equal(record["rule"], "nothing-else");
    }
  });

  test("another port of an allowed destination is denied", async () => {
    const denied = { protocol: "tcp", host: TARGET_A.ipv4, port: 8081, expectSilence: true } as const;
    assert.notEqual((await probe(network.agents[0], denied)).answer, "echo");
    assert.equal((await probe(network.agents[0], { ...denied, port: 7 })).answer, "echo");
    assert.equal((await probe(network.agents[1], { ...denied, expectSilence: false })).answer, "echo");
    await flow({ client: "client-1", dst: TARGET_A.ipv4, dstPort: 8081, action: "deny", rule: "nothing-else" });
  });

  test("an allowed flow is in the audit with its bytes", async () => {
    const fields = { client: "client-1", dst: TARGET_A.ipv4, dstPort: 80, action: "allow", rule: "some-ports" };
    const record = await flow(fields, ({ down }) => (down as { bytes: number }).bytes > DOWNLOAD_BYTES);
    assert.ok((record["up"] as { bytes: number }).bytes > 0);
  });

  test("a spoofed source is dropped and counted", async () => {
    const agent = network.agents[0];
    for (const [spoofed, host] of [
      ["10.77.0.200", TARGET_A.ipv4],
      ["fd77:7a67::200", TARGET_A.ipv6],
    ] as const) {
      const length = spoofed.includes(":") ? "128" : "32";
      agent.ip("address", "add", `${spoofed}/${length}`, "dev", DEVICE, ...(length === "128" ? ["nodad"] : []));
      assert.equal((await ping(agent, host, 3, 10, ["-I", spoofed])).received, 0, spoofed);
      agent.ip("address", "delete", `${spoofed}/${length}`, "dev", DEVICE);
      assert.equal((await ping(agent, host, 1)).received, 1);
    }
    const metrics = (await relay.get("/metrics")) ?? "";
    assert.match(metrics, /source[^\n]* [1-9]\d*$/m);
  });

  test("the relay's own machine is out of reach through the tunnel", async () => {
    for (const host of ["10.77.0.1", "10.50.1.1", "fd77:7a67::1", "fd50:0:0:1::1"]) {
      assert.equal((await ping(network.agents[1], host, 2)).received, 0, host);
      const admin = { protocol: "tcp", host, port: 9443, expectSilence: true } as const;
      assert.notEqual((await probe(network.agents[1], admin)).answer, "echo", host);
    }
  });

  async function shell(agent: 0 | 1, script: string): Promise<string> {
    return network.agents[agent].check(["sh", "-c", script], { timeoutMs: 90_000 });
  }

  /** The first flow record with these fields. */
  function flow(
    fields: Readonly<Record<string, string | number>>,
    accept: (record: Record<string, unknown>) => boolean = () => true,
  ): Promise<Record<string, unknown>> {
    return waitFor(`an audit record with ${JSON.stringify(fields)}`, () =>
      relay
        .audit()
        .find(
          (record) =>
            record["type"] === "flow" &&
            Object.entries(fields).every(([key, value]) => record[key] === value) &&
            accept(record),
        ),
    );
  }
}
