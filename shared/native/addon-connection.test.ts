/** Connections of the real addon: datagrams, statistics, close codes, another local address. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { QuicConnection } from "./quic.ts";
import { openBoth, openPair, openTestEndpoint, patterned, readBytes, testTls, writeAll } from "./test-pair.ts";

const SLAB_BYTES = 64 * 1024;

/** The next records of `connection`, as they stand in the slab. */
async function nextRecords(connection: QuicConnection): Promise<Buffer> {
  const slab = Buffer.alloc(SLAB_BYTES);
  for (;;) {
    const filled = connection.readDatagrams(slab, 0, slab.length);
    if (filled > 0) return slab.subarray(0, filled);
    await new Promise<void>((resolve) => {
      connection.onDatagrams = resolve;
    });
  }
}

suite("datagrams", { timeout: 30_000 }, () => {
  test("records carry their length, in the order they were sent", async (t) => {
    const { atClient, atServer } = await openPair(t);
    const slab = patterned(3000);
    for (const [from, to] of [
      [0, 1],
      [10, 10],
      [100, 1000],
    ] as const) {
      assert.equal(atClient.sendDatagram(slab, from, to), true);
    }
    const expected = [[0, 1], [...slab.subarray(0, 1)], [0, 0], [3, 132], [...slab.subarray(100, 1000)]].flat();
    const records: number[] = [];
    while (records.length < expected.length) records.push(...(await nextRecords(atServer)));
    assert.deepEqual(records, expected);
  });

  test("one that is too large is refused, the largest passes", async (t) => {
    const { atClient, atServer } = await openPair(t);
    const largest = atClient.maxDatagramSize;
    assert.ok(largest >= 1100 && largest < 1500, `${largest} bytes`);
    const slab = patterned(SLAB_BYTES);
    assert.equal(atClient.sendDatagram(slab, 0, SLAB_BYTES), false);
    assert.equal(atClient.sendDatagram(slab, 0, 1100), true);
    assert.equal((await nextRecords(atServer)).length, 1102);
    assert.throws(() => atClient.sendDatagram(slab, 0, SLAB_BYTES + 1), RangeError);
  });

  test("a record that has no room stays for the next call", async (t) => {
    const { atClient, atServer } = await openPair(t);
    atClient.sendDatagram(patterned(500), 0, 500);
    await nextRecords(atServer).then((first) => assert.equal(first.length, 502));
    atClient.sendDatagram(patterned(500), 0, 500);
    const slab = new Uint8Array(1000);
    while (atServer.readDatagrams(slab, 0, 502) === 0) await turn();
    atClient.sendDatagram(patterned(500), 0, 500);
    assert.equal(atServer.readDatagrams(slab, 0, 501), 0);
    assert.equal((await nextRecords(atServer)).length, 502);
  });

  test("a full queue refuses", async (t) => {
    const { atClient } = await openPair(t);
    const slab = patterned(1000);
    let sent = 0;
    // The QUIC thread takes from the queue meanwhile, so there is no upper bound to check: that this ends is the refusal.
    while (atClient.sendDatagram(slab, 0, 1000)) sent++;
    assert.ok(sent >= 1000, `${sent} datagrams`);
  });
});

suite("statistics", { timeout: 30_000 }, () => {
  test("count what passed, and stay after the end", async (t) => {
    const pair = await openPair(t);
    const { near, far } = await openBoth(pair);
    await writeAll(near, patterned(300_000));
    await readBytes(far, 300_001);
    const stats = pair.atClient.stats();
    assert.ok(stats.sentBytes > 300_000 && stats.sentPackets > 200, JSON.stringify(stats));
    assert.ok(stats.rttMs > 0 && stats.rttMs < 1000);
    // The least window of the congestion control: four packets.
    assert.ok(stats.mtu >= 1200 && stats.cwnd >= 4 * 1200, JSON.stringify(stats));
    pair.atClient.close(0, "");
    await pair.atClient.closed;
    assert.ok(pair.atClient.stats().sentBytes >= stats.sentBytes);
    assert.equal(pair.atClient.remote, pair.server.localAddress);
  });
});

suite("close", { timeout: 30_000 }, () => {
  test("code and reason reach the peer, and the own side says local", async (t) => {
    const { atClient, atServer } = await openPair(t);
    atClient.close(0x1234, "that was all");
    atClient.close(1, "ignored");
    assert.deepEqual(await atClient.closed, { source: "local", code: 0x1234, reason: "that was all" });
    assert.deepEqual(await atServer.closed, { source: "peer-application", code: 0x1234, reason: "that was all" });
    assert.equal(atServer.sendDatagram(patterned(1), 0, 1), false);
    assert.equal(atServer.maxDatagramSize, 0);
    await assert.rejects(atServer.openUni(), { code: "ZG_CONNECTION_CLOSED" });
  });

  test("closing the endpoint tells every peer, settles everything, and may be asked twice", async (t) => {
    const pair = await openPair(t, { maxBidiStreams: 0 });
    const opening = assert.rejects(pair.atClient.openBidi(), { code: "ZG_CONNECTION_CLOSED" });
    const first = pair.client.close(7, "going");
    assert.equal(pair.client.close(8, "again"), first);
    await first;
    await opening;
    assert.equal((await pair.atClient.closed).source, "local");
    assert.deepEqual(await pair.atServer.closed, { source: "peer-application", code: 7, reason: "going" });
    const tls = await testTls();
    await assert.rejects(pair.client.connect(pair.server.localAddress, "relay.test", tls.client), {
      code: "ZG_CONNECTION_CLOSED",
    });
  });

  test("a connect in progress is answered when the endpoint closes", async (t) => {
    const tls = await testTls();
    const client = openTestEndpoint(t);
    const connecting = assert.rejects(client.connect("127.0.0.1:9", "relay.test", tls.client));
    await client.close(0, "");
    await connecting;
  });

  test("a silent peer is found out by the idle time-out", async (t) => {
    const transport = { idleTimeoutMs: 100, keepAliveMs: 0 };
    const { atClient, atServer } = await openPair(t, transport);
    const [near, far] = await Promise.all([atClient.closed, atServer.closed]);
    assert.equal(near.source, "idle-timeout");
    assert.equal(far.source, "idle-timeout");
  });

  test("an endpoint that takes no connections says so", async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server });
    const connection = await openTestEndpoint(t).connect(server.localAddress, "relay.test", tls.client);
    assert.equal((await connection.closed).source, "peer-application");
  });
});

suite("rebind", { timeout: 30_000 }, () => {
  test("a connection goes on from another local port, and the peer sees the new address", async (t) => {
    const pair = await openPair(t);
    const { near, far } = await openBoth(pair);
    await readBytes(far, 1);
    const before = pair.atServer.remote;
    assert.equal(before, pair.client.localAddress);
    pair.client.rebind("127.0.0.1:0");
    assert.notEqual(pair.client.localAddress, before);
    await writeAll(near, patterned(10_000));
    await readBytes(far, 10_000);
    // The bytes may still have gone out of the old socket; a client that moved says so at once.
    while (pair.atServer.remote !== pair.client.localAddress) await turn();
    await writeAll(far, patterned(10_000));
    await readBytes(near, 10_000);
  });

  for (const { bind, message } of [
    { bind: "127.0.0.1", message: /expected address:port/ },
    { bind: "localhost:1", message: /expected address:port/ },
    { bind: "192.0.2.1:0", message: /no interface has this address/ },
  ]) {
    test(`${bind} is refused and changes nothing`, async (t) => {
      const client = openTestEndpoint(t);
      const before = client.localAddress;
      assert.throws(() => client.rebind(bind), { name: "ZgateError", code: "ZG_UDP", message });
      assert.equal(client.localAddress, before);
    });
  }

  test("a port in use is said to be", async (t) => {
    const first = openTestEndpoint(t);
    assert.throws(() => openTestEndpoint(t, { bind: first.localAddress }), {
      code: "ZG_UDP",
      message: /another process has this port/,
    });
  });
});

suite("options", { timeout: 30_000 }, () => {
  for (const congestion of ["cubic", "bbr", "newreno"] as const) {
    test(`${congestion} carries bytes`, async (t) => {
      const { near, far } = await openBoth(await openPair(t, { congestion }));
      await Promise.all([writeAll(near, patterned(1_000_000)), readBytes(far, 1_000_001)]);
    });
  }

  test("an initial MTU below QUIC's smallest is refused", (t) => {
    assert.throws(() => openTestEndpoint(t, { transport: { initialMtu: 1199 } }), {
      code: "ZG_UDP",
      message: /initialMtu 1199: expected 1200/,
    });
  });
});
