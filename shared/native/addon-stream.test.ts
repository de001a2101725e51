/** Streams of the real addon: bytes, edges, back-pressure, and every way to end. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { MAX_STREAM_WRITE, READ_END, READ_RESET, WRITE_CLOSED } from "./quic.ts";
import {
  nextStream,
  openBoth,
  openPair,
  patterned,
  readable,
  readAll,
  readBytes,
  writable,
  writeAll,
} from "./test-pair.ts";

/** Silence after which nothing more is coming on loopback: many round trips. */
const QUIET_MS = 200;

suite("bytes", { timeout: 30_000 }, () => {
  test("both ways on one stream, 5 MB each, and the ends", async (t) => {
    const pair = await openPair(t);
    const up = patterned(5_000_000);
    const down = up.toReversed();
    const { near, far } = await openBoth(pair, up.subarray(0, 1));
    assert.equal(near.direction, "bidi");
    assert.equal(far.direction, "bidi");
    assert.equal(near.id, far.id);
    const [gotUp, gotDown] = await Promise.all([
      readAll(far),
      readAll(near),
      writeAll(near, up.subarray(1)).then(() => near.finish()),
      writeAll(far, down).then(() => far.finish()),
    ]);
    assert.ok(!gotUp.reset && !gotDown.reset);
    assert.ok(Buffer.from(up).equals(gotUp.bytes));
    assert.ok(Buffer.from(down).equals(gotDown.bytes));
  });

  test("a handler's ticks and promises come with its event, before what waits for the event loop", async (t) => {
    const { near, far } = await openBoth(await openPair(t), patterned(1));
    const order: string[] = [];
    const done = Promise.withResolvers<void>();
    await readBytes(far, 1);
    far.onReadable = () => {
      setImmediate(() => {
        order.push("immediate");
        done.resolve();
      });
      process.nextTick(() => order.push("tick"));
      void Promise.resolve().then(() => order.push("promise"));
    };
    assert.equal(far.read(new Uint8Array(1), 0, 1), 0);
    await writeAll(near, patterned(1));
    await done.promise;
    assert.deepEqual(order, ["tick", "promise", "immediate"]);
  });

  test("one way, opened by either side", async (t) => {
    const pair = await openPair(t);
    for (const [from, to] of [
      [pair.atClient, pair.atServer],
      [pair.atServer, pair.atClient],
    ] as const) {
      const accepted = nextStream(to);
      const out = await from.openUni();
      assert.equal(out.direction, "uni-out");
      await writeAll(out, patterned(100));
      out.finish();
      const into = await accepted;
      assert.equal(into.direction, "uni-in");
      assert.equal(into.id, out.id);
      assert.deepEqual(new Uint8Array((await readAll(into)).bytes), patterned(100));
      assert.throws(() => out.read(new Uint8Array(1), 0, 1), RangeError);
      assert.throws(() => into.write(new Uint8Array(1), 0, 1), RangeError);
    }
  });

  test("writev puts its pieces on the wire in their order", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    await readBytes(far, 1);
    const slab = patterned(1000);
    const ranges = Uint32Array.of(500, 510, 0, 3, 3, 3, 999, 1000, 7, 7);
    assert.equal(near.writev(slab, ranges, 4), 14);
    near.finish();
    const expected = Buffer.concat([slab.subarray(500, 510), slab.subarray(0, 3), slab.subarray(999, 1000)]);
    assert.deepEqual(Buffer.from((await readAll(far)).bytes), expected);
  });

  test("any split of writes and reads carries the same bytes", async (t) => {
    const pair = await openPair(t);
    const sizes = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 40_000 }), async (writes, readSize) => {
        const bytes = patterned(writes.reduce((sum, size) => sum + size, 0));
        const accepted = nextStream(pair.atServer);
        const out = await pair.atClient.openUni();
        const writing = (async () => {
          let from = 0;
          for (const size of writes) {
            await writeAll(out, bytes.subarray(from, from + size));
            from += size;
          }
          out.finish();
        })();
        const into = await accepted;
        const got = new Uint8Array(bytes.length + readSize);
        let done = 0;
        for (let count = 0; count !== READ_END;) {
          count = into.read(got, done, done + readSize);
          if (count === 0) await readable(into);
          else if (count > 0) done += count;
        }
        await writing;
        assert.ok(Buffer.from(bytes).equals(got.subarray(0, done)));
      }),
      { numRuns: 20 },
    );
  });
});

suite("ranges", { timeout: 30_000 }, () => {
  test("a wrong range or size is a RangeError and harms nothing", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    const slab = new Uint8Array(10);
    const big = new Uint8Array(MAX_STREAM_WRITE + 1);
    for (const wrong of [
      () => near.read(slab, 0, 11),
      () => near.read(slab, 6, 5),
      () => near.write(slab, 0, 11),
      () => near.write(big, 0, big.length),
      () => near.writev(slab, Uint32Array.of(0, 11), 1),
      () => near.writev(slab, Uint32Array.of(0, 1), 2),
      () => near.reset(-1),
      () => near.stop(0.5),
      () => near.reset(2 ** 62),
    ]) {
      assert.throws(wrong, RangeError);
    }
    assert.equal(near.write(slab, 3, 3), 0);
    assert.equal(near.read(slab, 3, 3), 0);
    await writeAll(near, patterned(10));
    assert.equal((await readBytes(far, 11)).length, 11);
  });
});

suite("edges", { timeout: 30_000 }, () => {
  test("onReadable comes once after a read of 0, as an event of its own", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    await readBytes(far, 1);
    const slab = new Uint8Array(100);
    assert.equal(far.read(slab, 0, 100), 0);
    let calls = 0;
    const called = new Promise<void>((resolve) => {
      far.onReadable = () => {
        calls++;
        resolve();
      };
    });
    await writeAll(near, patterned(10));
    await called;
    // Not armed again: more bytes, no call.
    await writeAll(near, patterned(10));
    near.finish();
    while (near.write(slab, 0, 1) !== WRITE_CLOSED) await turn();
    assert.equal(calls, 1);
    assert.equal((await readAll(far)).bytes.length, 20);
  });

  test("an edge that found no handler is handed over when one is set", async (t) => {
    const pair = await openPair(t);
    const { near, far } = await openBoth(pair);
    await readBytes(far, 1);
    far.onReadable = undefined;
    assert.equal(far.read(new Uint8Array(10), 0, 10), 0);
    await writeAll(near, patterned(10));
    // The answer on another stream comes after the edge.
    const other = await pair.atClient.openUni();
    const accepted = nextStream(pair.atServer);
    await writeAll(other, patterned(1));
    await readBytes(await accepted, 1);
    await readable(far);
    assert.equal((await readBytes(far, 10)).length, 10);
  });

  test("streams that came before onStream are handed over when it is set", async (t) => {
    const pair = await openPair(t);
    const first = await pair.atClient.openUni();
    await writeAll(first, patterned(3));
    const datagram = new Promise<void>((resolve) => {
      pair.atServer.onDatagrams = resolve;
    });
    assert.equal(pair.atServer.readDatagrams(new Uint8Array(0), 0, 0), 0);
    while (!pair.atClient.sendDatagram(patterned(3), 0, 3)) await turn();
    await datagram;
    const stream = await nextStream(pair.atServer);
    assert.equal((await readBytes(stream, 3)).length, 3);
  });
});

suite("back-pressure", { timeout: 30_000 }, () => {
  test("write takes nothing while the peer does not read, and goes on when it does", async (t) => {
    const transport = {
      streamReceiveWindow: 100_000,
      connectionReceiveWindow: 100_000,
      sendWindow: 100_000,
      streamSendQueue: 65_536,
    };
    const { near, far } = await openBoth(await openPair(t, transport));
    const slab = patterned(16_384);
    let written = 1;
    // Until it is full for good. What waits for the reader is bounded, so this ends.
    const bound = 2 * 65_536 + 2 * 100_000 + 2 * 262_144;
    for (let quiet = false; !quiet;) {
      const taken = near.write(slab, 0, slab.length);
      written += taken;
      assert.ok(written < bound, `${written} bytes were taken`);
      if (taken === 0) {
        quiet = await Promise.race([writable(near).then(() => false), sleep(QUIET_MS, true)]);
      }
    }
    assert.ok(written > 100_000, `only ${written} bytes were taken`);
    const onWritable = writable(near);
    const reading = readAll(far);
    await onWritable;
    near.finish();
    const { bytes, reset } = await reading;
    assert.equal(reset, false);
    assert.equal(bytes.length, written);
  });

  test("a stream that nobody reads does not hold up another", async (t) => {
    const pair = await openPair(t);
    const stuck = await openBoth(pair);
    while (stuck.near.write(patterned(65_536), 0, 65_536) > 0) await turn();
    const { near, far } = await openBoth(pair);
    const reading = readAll(far);
    await writeAll(near, patterned(2_000_000));
    near.finish();
    assert.equal((await reading).bytes.length, 2_000_001);
  });

  test("a stream beyond the peer's limit opens when another ends", async (t) => {
    const pair = await openPair(t, { maxUniStreams: 2 });
    const first = await pair.atClient.openUni();
    // Held: a stream that is collected before its first write makes room, too.
    const second = await pair.atClient.openUni();
    let opened = false;
    const third = pair.atClient.openUni().then((stream) => {
      opened = true;
      return stream;
    });
    const accepted = nextStream(pair.atServer);
    first.finish();
    const far = await accepted;
    assert.equal(opened, false);
    await readAll(far);
    assert.equal((await third).direction, "uni-out");
    second.finish();
  });
});

suite("a peer that opens streams that nobody takes", { timeout: 30_000 }, () => {
  test("is held to its limit, finished streams included, until they are read", async (t) => {
    const limit = 4;
    const pair = await openPair(t, { maxUniStreams: limit });
    for (let i = 0; i < limit; i++) {
      const out = await pair.atClient.openUni();
      await writeAll(out, patterned(10));
      out.finish();
    }
    let opened = false;
    const oneMore = pair.atClient.openUni().then(() => (opened = true));
    // A round trip after the server had every stream: its credit would have come back by now.
    const { near, far } = await openBoth({ ...pair, atClient: pair.atServer, atServer: pair.atClient });
    await readBytes(far, 1);
    near.finish();
    assert.equal(opened, false);
    pair.atServer.onStream = (stream) => void readAll(stream);
    assert.equal(await oneMore, true);
  });
});

suite("endings", { timeout: 30_000 }, () => {
  test("finish ends one direction and is idempotent", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    near.finish();
    near.finish();
    assert.equal(near.write(patterned(1), 0, 1), WRITE_CLOSED);
    assert.equal((await readAll(far)).bytes.length, 1);
    assert.equal(far.read(new Uint8Array(1), 0, 1), READ_END);
    await writeAll(far, patterned(7));
    far.finish();
    assert.equal((await readAll(near)).bytes.length, 7);
  });

  test("reset tells its code", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    await readBytes(far, 1);
    assert.equal(far.resetCode, -1);
    near.reset(0x10c);
    near.reset(1);
    assert.equal(near.write(patterned(1), 0, 1), WRITE_CLOSED);
    assert.deepEqual(await readAll(far), { bytes: Buffer.alloc(0), reset: true });
    assert.equal(far.resetCode, 0x10c);
  });

  test("reset after finish abandons what was not delivered", async (t) => {
    const transport = { streamReceiveWindow: 10_000, connectionReceiveWindow: 10_000 };
    const { near, far } = await openBoth(await openPair(t, transport));
    assert.equal(near.write(patterned(600_000), 0, 600_000), 600_000);
    near.finish();
    near.reset(5);
    assert.equal((await readAll(far)).reset, true);
    assert.equal(far.resetCode, 5);
  });

  test("stop tells its code to a writer that waits", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    while (near.write(patterned(65_536), 0, 65_536) > 0);
    far.stop(0x107);
    assert.equal(far.read(new Uint8Array(1), 0, 1), READ_RESET);
    // Waits for edges alone: the last one comes with the end.
    for (let taken = 0; taken !== WRITE_CLOSED; taken = near.write(patterned(65_536), 0, 65_536)) {
      if (taken === 0) await writable(near);
    }
    assert.equal(near.stopCode, 0x107);
  });

  test("stop tells its code to a writer that writes nothing", async (t) => {
    const { near, far } = await openBoth(await openPair(t));
    assert.equal(near.stopCode, -1);
    far.stop(9);
    while (near.stopCode === -1) await turn();
    assert.equal(near.stopCode, 9);
    assert.equal(near.write(patterned(1), 0, 1), WRITE_CLOSED);
  });

  test("when the connection closes, what arrived is read first, then READ_RESET without a code", async (t) => {
    const pair = await openPair(t);
    const { near, far } = await openBoth(pair, patterned(100));
    await readBytes(far, 10);
    assert.equal(near.read(new Uint8Array(1), 0, 1), 0);
    const woken = readable(near);
    pair.atServer.close(3, "enough");
    await pair.atClient.closed;
    await pair.atServer.closed;
    await woken;
    assert.equal(near.read(new Uint8Array(1), 0, 1), READ_RESET);
    assert.equal(near.resetCode, -1);
    assert.equal(near.write(patterned(1), 0, 1), WRITE_CLOSED);
    assert.deepEqual(await readAll(far), { bytes: Buffer.from(patterned(100).subarray(10)), reset: true });
    await assert.rejects(pair.atClient.openBidi(), { code: "ZG_CONNECTION_CLOSED" });
  });
});
