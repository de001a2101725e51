/** Whoever reads the relay's log stops: sessions must not notice. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Certificates, jsonLines, openAgent, RelayProcess, temporaryFolder } from "../harness/product.ts";
import { ping } from "../harness/reachability.ts";
import { layTopology, TARGET_A } from "../harness/topology.ts";
import type { Topology } from "../harness/topology.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
const RELOAD = "http://127.0.0.1:9443/v1/policy/reload";
/** Each logs a line of some 150 bytes: together they are more than twice what a pipe holds (64 KiB, pipe(7)). */
const RELOADS = 1_000;
const PIPE_BYTES = 64 * 1024;
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("a log whose reader has stopped", { skip }, () => {
  let network: Topology;
  let relay: RelayProcess;
  let reader: number;

  before(async () => {
    network = layTopology("logread");
    const certificates = await Certificates.create();
    await certificates.issueClient("client-1");
    const logTo = join(temporaryFolder(), "log");
    execFileSync("mkfifo", [logTo]);
    const under = ["sh", "-c", 'log=$0; exec "$@" 2>"$log"', logTo];
    reader = openSync(logTo, constants.O_RDONLY | constants.O_NONBLOCK);
    relay = new RelayProcess(network.relay, { certificates, policy: POLICY, under });
    await relay.start();
    await openAgent(network.agents[0], { certificates, name: "client-1" });
  });
  after(() => {
    network.close();
    closeSync(reader);
  });

  test("the tunnel goes on, the relay ends in order, and the log has its lines in order", async () => {
    const config = Array.from({ length: RELOADS }, () => `url = "${RELOAD}"\noutput = "/dev/null"`).join("\n");
    await network.relay.check(["curl", "-sf", "-X", "POST", "-K", "-"], { input: config, timeoutMs: 120_000 });
    assert.deepEqual(await ping(network.agents[0], TARGET_A.ipv4, 50), { sent: 50, received: 50 });
    assert.equal((await relay.metrics()).get('zgate_log_lines_lost_total{reason="slow-reader"}'), 0);
    const stopping = relay.stop();
    const text = await readToEnd(reader);
    assert.deepEqual(await stopping, { code: 0, signal: null });
    assert.ok(text.length > 2 * PIPE_BYTES, `${text.length} bytes`);
    const generations = jsonLines(text).flatMap(({ generation }) =>
      typeof generation === "number" ? [generation] : [],
    );
    assert.ok(generations.length >= RELOADS, `${generations.length} reloads`);
    assert.deepEqual(
      generations,
      generations.toSorted((a, b) => a - b),
    );
  });
});

/** Reads a pipe that does not block until its last writer is gone. */
async function readToEnd(fd: number): Promise<string> {
  const bytes = Buffer.alloc(PIPE_BYTES);
  let text = "";
  for (;;) {
    const length = readNow(fd, bytes);
    if (length === 0) return text;
    if (length === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
    else text += bytes.toString("utf8", 0, length);
  }
}

function readNow(fd: number, bytes: Buffer): number | undefined {
  try {
    return readSync(fd, bytes);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
    return undefined;
  }
}
