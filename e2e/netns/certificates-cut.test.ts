/**
 * How soon a revocation holds: a stream of datagrams through the tunnel, whose client is revoked and let in again fifty
 * times, by the list of revoked certificates and by the policy.
 *
 *   agent ── a datagram a millisecond ─▶ relay ─▶ target, which notes when each arrives
 *                                         └ crl.pem or policy.yaml is replaced
 */
import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { revoke } from "../../shared/pki/revocation.ts";
import { monotonicMs } from "../harness/datagram-stream.ts";
import type { Arrivals } from "../harness/datagram-stream.ts";
import { waitFor } from "../harness/process.ts";
import { Certificates, openAgent, RelayProcess } from "../harness/product.ts";
import { layTopology, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const PORT = 9001;
const REVOCATIONS = 50;
/** From writing the file to the last packet that arrives at the target, in milliseconds (issue 5). */
const PROMISED_MS = 1_000;
/** After the session's end, before its client is let in again: what comes late comes in it. Milliseconds. */
const SILENCE_MS = 50;
const STREAM = join(import.meta.dirname, "../harness/datagram-stream.ts");
const policy = (enabled: boolean): string => `
version: "1.0"
clients:
  client-1:
    enabled: ${enabled}
    rules: [{ id: stream, type: ip_cidr, action: allow, destinations: [${TARGET_A.ipv4}], ports: [udp/${PORT}] }]
`;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("revocation under traffic", { skip }, () => {
  let network: Topology;
  let relay: RelayProcess;
  let list: string;
  const lists = { empty: "", revoked: "" };

  before(async () => {
    network = layTopology("cut-off");
    const certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    list = join(certificates.folder, "crl.pem");
    lists.empty = readFileSync(list, "utf8");
    const { folder } = certificates;
    await revoke({ folder, what: "client-1", reason: "keyCompromise", now: new Date() });
    lists.revoked = readFileSync(list, "utf8");
    replace(list, lists.empty);
    relay = new RelayProcess(network.relay, { certificates, policy: policy(true), flags: ["--crl", list] });
    await relay.start();
    // Back as soon as it may.
    const flags = ["--reconnect-min", "20ms", "--reconnect-max", "50ms"];
    await openAgent(network.agents[0], { certificates, name: "client-1", flags });
  });
  after(() => network.close());

  const count = (type: string, reason?: string): number =>
    relay.audit().filter((record) => record["type"] === type && (reason === undefined || record["reason"] === reason))
      .length;

  /** From the client of the one session that is open. */
  const packetsUp = async (): Promise<number> => {
    const { list } = JSON.parse((await relay.get("/v1/status")) ?? "{}") as { list: { up: { packets: number } }[] };
    return list[0]?.up.packets ?? 0;
  };

  /** Datagrams that programs of the target have read (InDatagrams of RFC 4113). */
  const arrived = async (): Promise<number> =>
    Number(/^Udp: (\d+)/m.exec(await network.targetA.check(["cat", "/proc/net/snmp"]))?.[1]);

  /** The target's process may be behind the relay's, and the sender's is ready before it has sent anything. */
  const streamArrives = async (): Promise<void> => {
    const before = await arrived();
    await waitFor("the stream at the target", async () => (await arrived()) > before);
  };

  for (const { how, reason, forbid, allow } of [
    {
      how: "by the list",
      reason: "revoked",
      forbid: () => replace(list, lists.revoked),
      allow: () => replace(list, lists.empty),
    },
    {
      how: "by the policy",
      reason: "policy",
      forbid: () => replace(relay.policyFile, policy(false)),
      allow: () => replace(relay.policyFile, policy(true)),
    },
  ]) {
    test(`${REVOCATIONS} times ${how}: the last packet arrives within a second`, async (context) => {
      const receiver = network.targetA.spawn([process.execPath, STREAM, "receive", `${PORT}`]);
      await receiver.waitForOutput(/ready/);
      const sender = network.agents[0].spawn([process.execPath, STREAM, "send", TARGET_A.ipv4, `${PORT}`]);
      await sender.waitForOutput(/ready/);
      const windows: { from: number; forbidAt: number; allowAt: number }[] = [];
      let from = monotonicMs();
      await streamArrives();
      for (let revocation = 0; revocation < REVOCATIONS; revocation++) {
        const [ended, opened] = [count("session-down", reason), count("session-up")];
        const forbidAt = monotonicMs();
        forbid();
        await waitFor("the session's end", () => count("session-down", reason) > ended);
        await pause(SILENCE_MS);
        windows.push({ from, forbidAt, allowAt: monotonicMs() });
        from = monotonicMs();
        allow();
        await waitFor("the next session", () => count("session-up") > opened);
        await waitFor("the stream in it", async () => (await packetsUp()) > 0);
        await streamArrives();
      }
      await sender.stop();
      await receiver.stop();
      const { atMs = [] } = (JSON.parse(receiver.stdout.trim().split("\n").at(-1) ?? "") as Record<string, Arrivals>)[
        PORT
      ] ?? { atMs: [] };
      const tookMs = windows.map(({ from: opened, forbidAt, allowAt }) => {
        const last = atMs.findLast((at) => at < allowAt) ?? -Infinity;
        assert.ok(last > opened, "the stream ran before it was cut");
        return Math.max(0, last - forbidAt);
      });
      tookMs.sort((a, b) => a - b);
      const [p50, max] = [tookMs[REVOCATIONS / 2] ?? Infinity, tookMs.at(-1) ?? Infinity];
      context.diagnostic(
        `from writing the file to the last packet: p50 ${p50.toFixed(1)} ms, max ${max.toFixed(1)} ms`,
      );
      assert.ok(max < PROMISED_MS, `max ${max} ms`);
    });
  }
});

/** In one step, as `zgate pki revoke` and editors do. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}
