/** The fake keeps the contracts of `quic.ts`; what the addon's tests say of the real one holds here too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "./fake-clock.ts";
import { fakeQuicPair, type FakeQuicConnection, type FakeQuicOptions } from "./fake-quic.ts";
import { MAX_STREAM_WRITE, READ_END, READ_RESET, WRITE_CLOSED, type CloseInfo, type QuicStream } from "./quic.ts";

interface Pair {
  readonly clock: FakeClock;
  readonly client: FakeQuicConnection;
  readonly server: FakeQuicConnection;
  /** Streams that reached the server, by id. */
  readonly arrived: Map<number, QuicStream>;
}

function pair(options: FakeQuicOptions = {}): Pair {
  const clock = new FakeClock();
  const { client, server } = fakeQuicPair({ schedule: clock.schedule, latencyMs: 5, ...options });
  const arrived = new Map<number, QuicStream>();
  server.onStream = (stream) => arrived.set(stream.id, stream);
  return { clock, client, server, arrived };
}

const bytes = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i & 0xff);

/** Both ends of a fresh stream whose first byte, 0, was read. */
async function opened(p: Pair): Promise<[near: QuicStream, far: QuicStream]> {
  const near = await p.client.openBidi();
  near.write(bytes(1), 0, 1);
  await p.clock.advance(10);
  const far = p.arrived.get(near.id);
  assert.ok(far);
  assert.equal(far.read(new Uint8Array(1), 0, 1), 1);
  return [near, far];
}

test("ids and directions are those of RFC 9000 section 2.1", async () => {
  const p = pair();
  const fromServer: QuicStream[] = [];
  p.client.onStream = (stream) => fromServer.push(stream);
  const near = [await p.client.openBidi(), await p.client.openUni(), await p.client.openBidi()];
  const far = [await p.server.openBidi(), await p.server.openUni()];
  assert.deepEqual(
    near.map(({ id, direction }) => [id, direction]),
    [
      [0, "bidi"],
      [2, "uni-out"],
      [4, "bidi"],
    ],
  );
  assert.deepEqual(
    far.map(({ id, direction }) => [id, direction]),
    [
      [1, "bidi"],
      [3, "uni-out"],
    ],
  );
  for (const stream of [...near, ...far]) stream.write(bytes(1), 0, 1);
  await p.clock.advance(10);
  assert.deepEqual(
    [...p.arrived.values()].map(({ id, direction }) => [id, direction]),
    [
      [0, "bidi"],
      [2, "uni-in"],
      [4, "bidi"],
    ],
  );
  assert.deepEqual(
    fromServer.map(({ id, direction }) => [id, direction]),
    [
      [1, "bidi"],
      [3, "uni-in"],
    ],
  );
});

test("a stream is announced by its first bytes, and those that came before the handler are handed over", async () => {
  const clock = new FakeClock();
  const { client, server } = fakeQuicPair({ schedule: clock.schedule });
  const silent = await client.openBidi();
  (await client.openBidi()).finish();
  await clock.advance(10);
  const ids: number[] = [];
  server.onStream = ({ id }) => ids.push(id);
  assert.deepEqual(ids, [], "not from inside the setter");
  await clock.advance(0);
  assert.deepEqual(ids, [4]);
  silent.write(bytes(1), 0, 1);
  await clock.advance(10);
  assert.deepEqual(ids, [4, 0]);
});

test("onReadable comes once after a read that returned 0, never unasked", async () => {
  const p = pair();
  const [near, far] = await opened(p);
  let calls = 0;
  far.onReadable = () => calls++;
  near.write(bytes(4), 0, 4);
  await p.clock.advance(20);
  assert.equal(calls, 0, "no read returned 0 yet");
  const slab = new Uint8Array(10);
  assert.equal(far.read(slab, 2, 5), 3);
  assert.deepEqual([...slab], [0, 0, 0, 1, 2, 0, 0, 0, 0, 0]);
  assert.equal(far.read(slab, 0, 10), 1);
  assert.equal(far.read(slab, 0, 10), 0);
  near.write(bytes(1), 0, 1);
  near.write(bytes(1), 0, 1);
  assert.equal(calls, 0);
  await p.clock.advance(20);
  assert.equal(calls, 1);
});

test("write takes all or nothing, and onWritable comes below the low water mark", async () => {
  const p = pair({ highWater: 100, receiveWindow: 50 });
  const [near, far] = await opened(p);
  let calls = 0;
  near.onWritable = () => calls++;
  assert.equal(near.write(bytes(100), 0, 60), 60);
  assert.equal(near.write(bytes(100), 0, 60), 0);
  assert.equal(near.write(bytes(100), 0, 30), 30);
  await p.clock.advance(50);
  assert.equal(calls, 1);
  assert.equal(near.write(bytes(100), 0, 60), 60);
  assert.equal(near.write(bytes(100), 0, 60), 0);
  await p.clock.advance(50);
  assert.equal(calls, 1, "the window is full");
  assert.equal(far.read(new Uint8Array(200), 0, 200), 50);
  await p.clock.advance(50);
  assert.equal(calls, 2);
});

test("a write may be larger than the high water mark when nothing waits; more than MAX_STREAM_WRITE is an error", async () => {
  const p = pair({ highWater: 100 });
  const [near] = await opened(p);
  assert.equal(near.write(bytes(1000), 0, 1000), 1000);
  const large = new Uint8Array(MAX_STREAM_WRITE + 1);
  assert.throws(() => near.write(large, 0, large.length), RangeError);
});

test("writev puts its ranges on the wire in order", async () => {
  const p = pair();
  const [near, far] = await opened(p);
  assert.equal(near.writev(bytes(20), Uint32Array.of(10, 12, 3, 4, 7, 7), 3), 3);
  await p.clock.advance(20);
  const slab = new Uint8Array(9);
  assert.equal(far.read(slab, 0, 9), 3);
  assert.deepEqual([...slab.subarray(0, 3)], [10, 11, 3]);
});

test("the caller's buffer is its own again at once", async () => {
  const p = pair();
  const [near, far] = await opened(p);
  const slab = bytes(4);
  near.write(slab, 0, 4);
  slab.fill(99);
  await p.clock.advance(20);
  const got = new Uint8Array(4);
  far.read(got, 0, 4);
  assert.deepEqual(got, bytes(4));
});

test("finish ends the other side after its bytes; READ_END is final", async () => {
  const p = pair();
  const [near, far] = await opened(p);
  near.write(bytes(2), 0, 2);
  near.finish();
  near.finish();
  assert.equal(near.write(bytes(1), 0, 1), WRITE_CLOSED);
  await p.clock.advance(20);
  const slab = new Uint8Array(9);
  assert.deepEqual(
    [1, 2, 3].map(() => far.read(slab, 0, 9)),
    [2, READ_END, READ_END],
  );
});

test("reset abandons what was not read, and tells its code", async () => {
  const p = pair();
  const [near, far] = await opened(p);
  assert.equal(far.read(new Uint8Array(9), 0, 9), 0);
  const woken = Promise.withResolvers<number>();
  far.onReadable = () => woken.resolve(far.read(new Uint8Array(9), 0, 9));
  near.reset(0x10c);
  assert.equal(far.resetCode, -1);
  await p.clock.advance(20);
  assert.equal(await woken.promise, READ_RESET);
  assert.equal(far.resetCode, 0x10c);
});

test("stop closes the other side's writing, wakes a writer, and tells its code", async () => {
  const p = pair({ highWater: 10, receiveWindow: 10 });
  const [near, far] = await opened(p);
  near.write(bytes(20), 0, 20);
  assert.equal(near.write(bytes(20), 0, 20), 0);
  const woken = Promise.withResolvers<number>();
  near.onWritable = () => woken.resolve(near.write(bytes(1), 0, 1));
  far.stop(0x10b);
  assert.equal(far.read(new Uint8Array(9), 0, 9), READ_RESET);
  await p.clock.advance(20);
  assert.equal(await woken.promise, WRITE_CLOSED);
  assert.equal(near.stopCode, 0x10b);
});

test("close ends both sides once: streams, waiting opens, datagrams", async () => {
  const p = pair({ maxBidiStreams: 1 });
  const [near, far] = await opened(p);
  const waiting = p.client.openBidi();
  const outcome = assert.rejects(waiting, { code: "ZG_CONNECTION_CLOSED" });
  far.read(new Uint8Array(9), 0, 9);
  const seen: number[] = [];
  far.onReadable = () => seen.push(far.read(new Uint8Array(9), 0, 9));
  p.client.close(0x100, "bye");
  p.client.close(0x101, "again");
  assert.equal(near.write(bytes(1), 0, 1), WRITE_CLOSED);
  assert.equal(near.read(new Uint8Array(9), 0, 9), READ_RESET);
  assert.equal(near.resetCode, -1);
  assert.equal(p.client.sendDatagram(bytes(1), 0, 1), false);
  await p.clock.advance(20);
  await outcome;
  const local: CloseInfo = { source: "local", code: 0x100, reason: "bye" };
  assert.deepEqual(await p.client.closed, local);
  assert.deepEqual(await p.server.closed, { ...local, source: "peer-application" });
  assert.deepEqual(seen, [READ_RESET]);
  await assert.rejects(p.server.openUni(), { code: "ZG_CONNECTION_CLOSED" });
});

test("what arrived before a close can still be read", async () => {
  const p = pair();
  const [near, far] = await opened(p);
  near.write(bytes(3), 0, 3);
  await p.clock.advance(10);
  p.client.close(0, "");
  await p.clock.advance(10);
  assert.deepEqual(
    [1, 2].map(() => far.read(new Uint8Array(9), 0, 9)),
    [3, READ_RESET],
  );
});

test("an opener waits for the stream limit", async () => {
  const p = pair({ maxUniStreams: 1 });
  const first = await p.client.openUni();
  const ids: number[] = [];
  void p.client.openUni().then(({ id }) => ids.push(id));
  await p.clock.advance(20);
  assert.deepEqual(ids, []);
  first.finish();
  await p.clock.advance(20);
  assert.deepEqual(ids, [6]);
});

test("datagrams: sizes, records, losses, a bounded queue, the edge", async () => {
  const p = pair({ maxDatagramSize: 10, datagramQueue: 3, loseDatagram: (index) => index === 1 });
  assert.equal(p.client.sendDatagram(bytes(20), 0, 11), false);
  const slab = new Uint8Array(20);
  assert.equal(p.server.readDatagrams(slab, 0, 20), 0);
  let calls = 0;
  p.server.onDatagrams = () => calls++;
  for (let size = 1; size <= 6; size++) assert.ok(p.client.sendDatagram(bytes(20), 0, size));
  await p.clock.advance(20);
  assert.equal(calls, 1);
  assert.equal(p.server.readDatagrams(slab, 2, 12), 8, "1 and 3 bytes fit, 4 more do not");
  assert.deepEqual([...slab.subarray(2, 10)], [0, 1, 0, 0, 3, 0, 1, 2]);
  assert.equal(p.server.readDatagrams(slab, 0, 20), 6);
  assert.equal(p.server.readDatagrams(slab, 0, 20), 0);
});

test("whatever is written arrives, in order, however it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 4 }),
      fc.integer({ min: 1, max: 200 }),
      async (writes, pieces, receiveWindow) => {
        const p = pair({ pieces, receiveWindow });
        const [near, far] = await opened(p);
        const total = writes.reduce((sum, size) => sum + size, 0);
        let at = 0;
        for (const size of writes) at += near.write(bytes(total), at, at + size);
        near.finish();
        const got: number[] = [];
        const slab = new Uint8Array(33);
        const read = (): void => {
          for (let n = far.read(slab, 0, 33); n !== 0; n = far.read(slab, 0, 33)) {
            if (n < 0) return;
            got.push(...slab.subarray(0, n));
          }
        };
        far.onReadable = read;
        read();
        await p.clock.advance(100_000);
        assert.deepEqual(Uint8Array.from(got), bytes(total));
        assert.equal(far.read(slab, 0, 33), READ_END);
      },
    ),
    { numRuns: 30 },
  );
});
