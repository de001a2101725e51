/**
 * Opening and closing leaves nothing behind: file descriptors and memory after a thousand rounds are what
 * they were after the first ones. Devices are opened in a network namespace of a second process.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openQuicEndpoint, openTun } from "./addon.ts";
import { nextStream, openTestEndpoint, readAll, testTls, writeAll } from "./test-pair.ts";

const ROUNDS = 1000;
/** Rounds that fill caches and pools before the first measurement. */
const WARM_UP = 300;
const ENDPOINT_ROUNDS = 25;
/** A leak of one connection's state (about 50 KB) a round would be 50 MB. */
const MAX_GROWTH_BYTES = 12 << 20;
/** QUIC keeps a closed connection for three probe time-outs (RFC 9000 section 10.2), a second each before a
 * round trip was measured. */
const DRAIN_MS = 3500;
const LIMIT_MS = 120_000;
const inside = process.env["ZGATE_LEAK_TEST"] === "inside";

interface Footprint {
  readonly descriptors: number;
  readonly bytes: number;
}

async function footprint(): Promise<Footprint> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  assert.ok(typeof collect === "function");
  await sleep(DRAIN_MS);
  for (let i = 0; i < 3; i++) {
    collect();
    await sleep(1);
  }
  return { descriptors: readdirSync("/proc/self/fd").length, bytes: process.memoryUsage.rss() };
}

async function rounds(count: number, round: (i: number) => Promise<void>): Promise<void> {
  for (let i = 0; i < count; i++) await round(i);
}

/** Compares the footprint before and after `count` rounds, both after `warmUp`. */
async function leaves(
  t: { diagnostic(text: string): void },
  { warmUp, count }: { warmUp: number; count: number },
  round: (i: number) => Promise<void>,
): Promise<void> {
  await rounds(warmUp, round);
  const before = await footprint();
  await rounds(count, round);
  const after = await footprint();
  const growth = after.bytes - before.bytes;
  const memory = `${growth >= 0 ? "+" : ""}${growth >> 10} KiB`;
  t.diagnostic(`${count} rounds: ${after.descriptors} descriptors, memory ${memory}`);
  assert.equal(after.descriptors, before.descriptors);
  assert.ok(growth < MAX_GROWTH_BYTES, `${growth} bytes more`);
}

if (inside) {
  test("a thousand devices", { timeout: LIMIT_MS }, async (t) => {
    await leaves(t, { warmUp: WARM_UP, count: ROUNDS }, async (i) => {
      const tun = openTun({ name: `zgleak${i % 2}`, mtu: 1400, offload: i % 2 === 0 });
      tun.onReadable = () => {};
      await new Promise((turn) => setImmediate(turn));
      tun.close();
    });
  });
} else {
  test("a thousand connections with a stream each", { timeout: LIMIT_MS }, async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server });
    const client = openTestEndpoint(t);
    server.onConnection = async (connection) => {
      const stream = await nextStream(connection);
      const { bytes } = await readAll(stream);
      await writeAll(stream, bytes);
      stream.finish();
    };
    await leaves(t, { warmUp: WARM_UP, count: ROUNDS }, async (i) => {
      // From the second measurement on, streams have the places of collected ones: none may get another's bytes.
      const sent = new Uint8Array(10_000).fill(i);
      const connection = await client.connect(server.localAddress, "relay.test", tls.client);
      const stream = await connection.openBidi();
      await writeAll(stream, sent);
      stream.finish();
      assert.ok(Buffer.from(sent).equals((await readAll(stream)).bytes));
      connection.close(0, "");
      await connection.closed;
    });
  });

  test("a thousand handshakes that are refused", { timeout: LIMIT_MS }, async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: { ...tls.server, keyExchange: "require-pq" } });
    const client = openTestEndpoint(t);
    const classical = { ...tls.client, keyExchange: "classical" } as const;
    // All of them drain at the same time, so the warm-up is as long.
    await leaves(t, { warmUp: ROUNDS, count: ROUNDS }, async () => {
      await assert.rejects(client.connect(server.localAddress, "relay.test", classical));
    });
  });

  test("endpoints with a connection, and their threads", { timeout: LIMIT_MS }, async (t) => {
    const tls = await testTls();
    await leaves(t, { warmUp: ENDPOINT_ROUNDS, count: ENDPOINT_ROUNDS }, async () => {
      const server = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"], server: tls.server });
      const client = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"] });
      server.onConnection = () => {};
      await client.connect(server.localAddress, "relay.test", tls.client);
      await Promise.all([client.close(0, ""), server.close(0, "")]);
    });
    assert.equal(readdirSync("/proc/self/task").length < 50, true);
  });

  const skip = process.getuid?.() === 0 ? false : "needs root: it makes a network namespace";
  test("devices, in a namespace of their own", { skip, timeout: 2 * LIMIT_MS }, async (t) => {
    const argv = ["--net", process.execPath, "--test-reporter=spec", import.meta.filename];
    const child = spawn("unshare", argv, { env: { ...process.env, ZGATE_LEAK_TEST: "inside", NODE_TEST_CONTEXT: "" } });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text) => (output += text));
    t.after(() => child.kill("SIGKILL"));
    const [code] = await once(child, "close");
    assert.equal(code, 0, output);
    t.diagnostic(/\d+ rounds: .*/.exec(output)?.[0] ?? "");
  });
}
