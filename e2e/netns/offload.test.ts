/**
 * Kernels that refuse super-packets or cut them wrongly, and traffic that arrives all the same (topology:
 * e2e/harness/topology.ts). The kernel here is a good one: strace(1) puts the error, or a wrong byte, into what it
 * answers to the device's system calls.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { waitFor } from "../harness/process.ts";
import { Certificates, jsonLines, openAgent, RelayProcess } from "../harness/product.ts";
import { underFault } from "../harness/system-calls.ts";
import { layTopology, PRIVATE_NETWORK_POLICY, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";
import { transferBothWays } from "../harness/transfer.ts";

const DEVICE = "/dev/net/tun";
const AGENT_ADMIN = "127.0.0.1:9444";
const TRANSFER_BYTES = 4_000_000;
/** How long a transfer may take: strace stops the process twice for each packet. Milliseconds. */
const TRANSFER_MS = 60_000;

/** Sends `PIECES` datagrams in one UDP super-packet (UDP_SEGMENT, udp(7)) to an echo and prints what comes back. */
const SEGMENT_BYTES = 1_000;
const PIECES = 21;
const BURST = `
import socket, sys
payload = b"".join(bytes([i]) * ${SEGMENT_BYTES} for i in range(${PIECES}))
info = socket.getaddrinfo(sys.argv[1], 7, 0, socket.SOCK_DGRAM)[0]
s = socket.socket(info[0], socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_UDP, 103, ${SEGMENT_BYTES})
s.settimeout(2)
s.connect(info[4])
s.send(payload)
got = sorted(s.recv(65535) for _ in range(${PIECES}))
print(len(got), b"".join(got) == payload)
`;

type Fault = { readonly refuse: string } | { readonly corrupt: string };

/** `refuse`: the writes to the device that fail, `corrupt`: the reads whose first byte is another (`when` of strace). */
function under(fault: Fault): readonly string[] {
  return "refuse" in fault
    ? underFault("write", `error=EINVAL:when=${fault.refuse}`, DEVICE)
    : underFault("read", `poke_exit=@arg2=ff:when=${fault.corrupt}`, DEVICE);
}

interface DeviceStatus {
  readonly vnetHeader: boolean;
  readonly selfTest: Readonly<Record<string, string>>;
  readonly cut: { readonly lacking: number; readonly refused: number };
  readonly refusedOffloads: number;
}

interface Scenario {
  readonly name: string;
  readonly relay?: Fault;
  readonly agent?: Fault;
  readonly agreed: "gso" | "none";
  /** Of the end with the fault. */
  readonly selfTest: Readonly<Record<"tso4" | "tso6" | "uso4" | "uso6", RegExp>>;
  readonly cut: { readonly lacking: "some" | "none"; readonly refused: "some" | "none" };
  readonly log?: RegExp;
}

const GOOD = /^(?:right|unknown)$/;
const REFUSED = /^refused: Invalid argument/;

/**
 * The self-test writes three times for each kind: a plain packet, a super-packet to be cut into three, and one to be
 * passed on whole; unless one fails. It reads five, and what the kernel sends of its own at the beginning.
 */
const SCENARIOS: readonly Scenario[] = [
  {
    name: "nothing is wrong",
    agreed: "gso",
    selfTest: { tso4: GOOD, tso6: GOOD, uso4: GOOD, uso6: GOOD },
    cut: { lacking: "none", refused: "none" },
  },
  {
    name: "the relay's kernel refuses UDP",
    relay: { refuse: "8..10" },
    agreed: "gso",
    selfTest: { tso4: GOOD, tso6: GOOD, uso4: REFUSED, uso6: REFUSED },
    cut: { lacking: "some", refused: "none" },
    log: /does not carry all super-packets rightly \(UDP over IPv4: refused: Invalid argument .*; UDP over IPv6: refused/,
  },
  {
    name: "the agent's kernel refuses everything",
    agent: { refuse: "1..12" },
    agreed: "none",
    selfTest: { tso4: REFUSED, tso6: REFUSED, uso4: REFUSED, uso6: REFUSED },
    cut: { lacking: "none", refused: "none" },
    log: /packets travel one by one/,
  },
  {
    name: "the agent's kernel cuts TCP over IPv4 wrongly",
    agent: { corrupt: "2..4" },
    agreed: "gso",
    selfTest: { tso4: /^wrong: byte 0 of packet [012] is 0xff instead of 0x00$/, tso6: GOOD, uso4: GOOD, uso6: GOOD },
    cut: { lacking: "some", refused: "none" },
    log: /does not carry all super-packets rightly \(TCP over IPv4: wrong: byte 0/,
  },
  {
    name: "what the agent's kernel makes of them cannot be seen",
    agent: { refuse: "1" },
    agreed: "gso",
    selfTest: { tso4: /^taken: plain packets did not come back either$/, tso6: GOOD, uso4: GOOD, uso6: GOOD },
    cut: { lacking: "none", refused: "none" },
  },
  {
    name: "the agent's kernel refuses a super-packet now and then",
    agent: { refuse: "40+31" },
    agreed: "gso",
    selfTest: { tso4: GOOD, tso6: GOOD, uso4: GOOD, uso6: GOOD },
    cut: { lacking: "none", refused: "some" },
    log: /refused a super-packet that passed all checks/,
  },
];

const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("super-packets and a kernel that may not carry them", { skip }, () => {
  let network: Topology;
  let certificates: Certificates;

  before(async () => {
    network = layTopology("offload");
    certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    const target = join(import.meta.dirname, "../harness/target.ts");
    await network.targetA.spawn([process.execPath, target]).waitForOutput(/ready/);
  });

  after(() => network.close());

  for (const scenario of SCENARIOS) {
    test(scenario.name, async (t) => {
      const { relay: relayFault, agent: agentFault, agreed, selfTest, cut, log } = scenario;
      const relay = new RelayProcess(network.relay, {
        ...{ certificates, policy: PRIVATE_NETWORK_POLICY },
        ...(relayFault !== undefined && { under: under(relayFault) }),
      });
      t.after(() => relay.stop());
      await relay.start();
      const agent = await openAgent(network.agents[0], {
        ...{ certificates, name: "client-1", flags: ["--admin", AGENT_ADMIN] },
        ...(agentFault !== undefined && { under: under(agentFault) }),
      });
      t.after(() => agent.stop());
      const relayDevice = async (): Promise<DeviceStatus> => JSON.parse((await relay.get("/v1/status")) ?? "").device;
      const agentDevice = async (): Promise<DeviceStatus> => (await agentStatus()).device;
      const faulty = relayFault === undefined ? agentDevice : relayDevice;
      const healthy = relayFault === undefined ? relayDevice : agentDevice;

      assert.equal((await agentStatus()).agreed.offload, agreed);
      const device = await faulty();
      for (const [kind, verdict] of Object.entries(selfTest)) assert.match(device.selfTest[kind] ?? "", verdict, kind);
      for (const verdict of Object.values((await healthy()).selfTest)) assert.match(verdict, GOOD);
      assert.equal(device.vnetHeader, agreed === "gso");

      for (const host of Object.values(TARGET_A)) await transfer(host);

      const after = await faulty();
      for (const why of ["lacking", "refused"] as const) {
        assert.equal(after.cut[why] > 0, cut[why] === "some", `cut, ${why}: ${after.cut[why]}`);
      }
      assert.equal(after.refusedOffloads, after.cut.refused);
      assert.deepEqual((await healthy()).cut, { lacking: 0, refused: 0 });
      const faultyService = relayFault === undefined ? agent : relay.service;
      if (log !== undefined) await faultyService.waitForOutput(log);
      const warnings = jsonLines(faultyService.stderr).filter(
        ({ level, msg }) => level === "warn" && /super-packet/.test(String(msg)),
      );
      if (log === undefined) assert.deepEqual(warnings, []);
      else assert.deepEqual(warnings.filter(({ msg }) => log.test(String(msg))).length, 1, JSON.stringify(warnings));
      const metrics = await relay.metrics();
      assert.equal(metrics.get("zgate_tun_tso"), 1);
      assert.equal(metrics.get("zgate_tun_uso"), REFUSED.test((await relayDevice()).selfTest["uso4"] ?? "") ? 0 : 1);
    });
  }

  /** Down and up over TCP, and a UDP super-packet through an echo, each compared. */
  async function transfer(host: string): Promise<void> {
    const from = network.agents[0];
    await transferBothWays(from, host, TRANSFER_BYTES, TRANSFER_MS);
    // A datagram may be lost, with its burst.
    const isWhole = async (): Promise<boolean> =>
      (await from.run(["python3", "-c", BURST, host])).stdout.trim() === `${PIECES} True`;
    await waitFor("a whole burst of datagrams", isWhole, TRANSFER_MS);
  }

  async function agentStatus(): Promise<{ device: DeviceStatus; agreed: { offload: string } }> {
    const status = await network.agents[0].check(["curl", "-sf", "-m", "5", `http://${AGENT_ADMIN}/v1/status`]);
    return JSON.parse(status);
  }
});
