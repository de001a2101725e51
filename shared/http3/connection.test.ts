import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../native/fake-clock.ts";
import { fakeQuicPair } from "../native/fake-quic.ts";
import { type QuicConnection, READ_END, READ_RESET, WRITE_CLOSED } from "../native/quic.ts";
import { Http3Connection } from "./connection.ts";
import { DATAGRAM_HEADROOM, DATA_HEADROOM } from "./constants.ts";
import { Http3Error } from "./fault.ts";
import type { Fields } from "./fields.ts";
import { HTTP3_CODE } from "./spec.ts";
import type { Http3Stream } from "./stream.ts";
import { CONNECT, GET, body, during, halfWorld, hex, pattern, sendAll, world } from "./test-world.ts";

const PIECES: readonly (readonly number[])[] = [[], [1], [1, 2, 3], [2, 1500], [65_536]];

for (const pieces of PIECES) {
  test(`an extended CONNECT echoes a body of ${pieces.length === 0 ? "whole" : pieces.join(",")}-byte pieces`, async () => {
    const { clock, client, server } = world({ pieces, highWater: 4096, receiveWindow: 5000 });
    server.onRequest = (stream) => {
      assert.equal(stream.field(":protocol"), "zgate-lane");
      stream.respond(200, [["zgate-lanes", "8"]]);
      void body(stream).then(({ bytes, final }) => {
        assert.equal(final, READ_END);
        sendAll(stream, bytes, 777);
      });
    };
    const sent = pattern(20_000);
    const stream = await during(clock, client.request(CONNECT));
    assert.equal(stream.status, 200);
    assert.equal(stream.field("zgate-lanes"), "8");
    sendAll(stream, sent, 1300);
    const { bytes, final } = await during(clock, body(stream));
    assert.equal(final, READ_END);
    assert.deepEqual(bytes, sent);
  });
}

test("a plain GET gets a small body, and both sides forget the stream", async () => {
  const { clock, client, server } = world({ maxBidiStreams: 1 });
  server.onRequest = (stream) => {
    stream.respond(200, [["content-length", "5"]], { body: Buffer.from("hello"), end: true });
  };
  for (let i = 0; i < 3; i++) {
    const stream = await during(clock, client.request(GET, { end: true }));
    const { bytes, final } = await during(clock, body(stream));
    assert.equal(Buffer.from(bytes).toString(), "hello");
    assert.equal(final, READ_END);
  }
});

test("a server without onRequest answers 501", async () => {
  const { clock, client } = world();
  assert.equal((await during(clock, client.request(GET, { end: true }))).status, 501);
});

test("datagrams go both ways, with the stream's own id", async () => {
  const { clock, client, server } = world();
  const slab = new Uint8Array(200);
  server.onRequest = (stream) => {
    stream.onDatagram = (view, from, to) => {
      slab.set(view.subarray(from, to), DATAGRAM_HEADROOM);
      assert.ok(stream.sendDatagram(slab, DATAGRAM_HEADROOM, DATAGRAM_HEADROOM + to - from));
    };
    stream.respond(200);
  };
  const streams = [await during(clock, client.request(CONNECT)), await during(clock, client.request(CONNECT))];
  const got: string[] = [];
  for (const stream of streams) {
    stream.onDatagram = (view, from, to) => got.push(`${stream.id}:${Buffer.from(view.subarray(from, to)).toString()}`);
    slab.set(Buffer.from(`ping ${stream.id}`), 50);
    assert.ok(stream.sendDatagram(slab, 50, 56));
  }
  await clock.advance(50);
  assert.deepEqual(got, ["0:ping 0", "4:ping 4"]);
});

test("writeBodyRuns sends several ranges as one DATA frame", async () => {
  const { clock, client, server } = world();
  server.onRequest = (stream) => {
    stream.respond(200);
    const slab = new Uint8Array(100);
    slab.set(Buffer.from("abcdefghij"), 20);
    const ranges = Uint32Array.of(0, 0, 20, 23, 26, 28);
    assert.equal(stream.writeBodyRuns(slab, ranges, 3), 5);
    stream.finish();
  };
  const stream = await during(clock, client.request(CONNECT));
  assert.equal(Buffer.from((await during(clock, body(stream))).bytes).toString(), "abcgh");
});

test("a server's GOAWAY: what is in progress goes on, what is new is refused on both sides", async () => {
  const { clock, client, server } = world();
  server.onRequest = (stream) => stream.respond(200);
  const goaways: number[] = [];
  client.onGoaway = (id) => goaways.push(id);
  const first = await during(clock, client.request(CONNECT));
  server.goaway();
  server.goaway();
  const crossing = client.request(CONNECT);
  await assert.rejects(during(clock, crossing), /GOAWAY|H3_REQUEST_REJECTED/);
  assert.deepEqual(goaways, [4]);
  await assert.rejects(client.request(CONNECT), { code: "ZG_CONNECTION_CLOSED" });
  const slab = new Uint8Array(20);
  assert.equal(first.writeBody(slab, DATA_HEADROOM, 10), 5);
});

test("a reset before the answer rejects the request with the peer's code", async () => {
  const { clock, client, server } = world();
  server.onRequest = (stream) => stream.close(HTTP3_CODE.H3_REQUEST_CANCELLED);
  await assert.rejects(during(clock, client.request(CONNECT)), (error: unknown) => {
    assert.ok(error instanceof Http3Error);
    assert.equal(error.http3Code, HTTP3_CODE.H3_REQUEST_CANCELLED);
    return true;
  });
});

test("a close rejects the requests in progress and says why", async () => {
  const { clock, client, server } = world();
  server.onRequest = () => server.close(HTTP3_CODE.H3_NO_ERROR, "going home");
  await assert.rejects(during(clock, client.request(CONNECT)), {
    code: "ZG_CONNECTION_CLOSED",
    message: "the connection is closed (peer-application, H3_NO_ERROR): going home",
  });
  await assert.rejects(client.request(CONNECT), { code: "ZG_CONNECTION_CLOSED" });
});

test("a stream that is reset midway reads READ_RESET and writes WRITE_CLOSED", async () => {
  const { clock, client, server } = world();
  let served: Http3Stream | undefined;
  server.onRequest = (stream) => {
    served = stream;
    stream.respond(200);
  };
  const stream = await during(clock, client.request(CONNECT));
  const reading = body(stream);
  served?.close(HTTP3_CODE.H3_MESSAGE_ERROR);
  assert.equal((await during(clock, reading)).final, READ_RESET);
  assert.equal(stream.resetCode, HTTP3_CODE.H3_MESSAGE_ERROR);
  assert.equal(stream.writeBody(new Uint8Array(20), 8, 20), WRITE_CLOSED);
});

test("a path that dies ends what waits", async () => {
  const { clock, client, server, pair } = world();
  const served = Promise.withResolvers<Http3Stream>();
  server.onRequest = (stream) => {
    stream.respond(200);
    served.resolve(stream);
  };
  const stream = await during(clock, client.request(CONNECT));
  const reading = body(stream);
  const never = client.request(GET, { end: true });
  pair.client.vanish();
  await assert.rejects(during(clock, never), {
    code: "ZG_CONNECTION_CLOSED",
    message: "the connection is closed (idle-timeout, 0x0): timed out",
  });
  assert.equal((await during(clock, reading)).final, READ_RESET);
  assert.equal((await served.promise).writeBody(new Uint8Array(20), 8, 20), WRITE_CLOSED);
});

test("each half of a tunnel ends by itself", async () => {
  const { clock, client, server } = world();
  const requests: Http3Stream[] = [];
  server.onRequest = (stream) => {
    requests.push(stream);
    stream.respond(200);
  };
  const stream = await during(clock, client.request(CONNECT));
  stream.finish();
  const far = requests[0]!;
  assert.deepEqual(await during(clock, body(far)), { bytes: new Uint8Array(0), final: READ_END });
  sendAll(far, pattern(5000), 900);
  assert.deepEqual((await during(clock, body(stream))).bytes, pattern(5000));
});

test("a refused CONNECT frees its stream at once, whatever the client goes on to send", async () => {
  const { clock, client, server } = world({ maxBidiStreams: 1 });
  server.onRequest = (stream) => stream.respond(403, [], { end: true });
  for (let i = 0; i < 3; i++) {
    const stream = await during(clock, client.request(CONNECT));
    assert.equal(stream.status, 403);
    stream.writeBody(new Uint8Array(5000), DATA_HEADROOM, 5000);
    await clock.advance(50);
    assert.equal(stream.writeBody(new Uint8Array(50), DATA_HEADROOM, 50), WRITE_CLOSED);
    assert.equal((await during(clock, body(stream))).final, READ_END);
  }
});

test("a body with trailers, and one whose length was announced", async () => {
  const { clock, client, server } = world();
  server.onRequest = (stream) => {
    void body(stream).then(({ bytes }) => stream.respond(200, [["content-length", "3"]], { body: bytes, end: true }));
  };
  const post: Fields = [[":method", "POST"], ...GET.slice(1), ["content-length", "3"]];
  const stream = await during(clock, client.request(post, { body: pattern(3), end: true }));
  assert.deepEqual((await during(clock, body(stream))).bytes, pattern(3));
});

test("requests wait for the peer's stream limit, and for no longer than for an answer", async () => {
  const { clock, client, server } = world({ maxBidiStreams: 1 }, { responseTimeoutMs: 100 });
  server.onRequest = (stream) => stream.respond(200);
  const first = await during(clock, client.request(CONNECT));
  await assert.rejects(during(clock, client.request(CONNECT)), /did not answer within 100 ms/);
  first.close(HTTP3_CODE.H3_NO_ERROR);
  assert.equal((await during(clock, client.request(CONNECT))).status, 200);
});

test("what a client refuses to send", async () => {
  const { clock, client, server } = world();
  await assert.rejects(client.request([[":method", "GET"]]), {
    name: "TypeError",
    message: "request: :scheme is missing",
  });
  await assert.rejects(server.request(GET), { name: "TypeError" });
  const { ours, peer, clock: other } = halfWorld("client");
  const control = hex("00 04 02 06 20 # SETTINGS, fields of 32 bytes at most");
  (await peer.openUni()).write(control, 0, control.length);
  await assert.rejects(during(other, ours.request(CONNECT)), /does not offer extended CONNECT/);
  await assert.rejects(ours.request(GET), /larger than the peer takes/);
  await clock.advance(1);
});

test("what a server refuses to do twice, or too early", async () => {
  const { clock, client, server } = world();
  const slab = new Uint8Array(20);
  server.onRequest = (stream) => {
    assert.throws(() => stream.writeBody(slab, DATA_HEADROOM, 20), TypeError);
    assert.equal(stream.sendDatagram(slab, DATAGRAM_HEADROOM, 20), false);
    stream.respond(200);
    assert.throws(() => stream.respond(500), TypeError);
    assert.throws(() => stream.writeBody(slab, DATA_HEADROOM - 1, 20), RangeError);
    assert.throws(() => stream.writeBody(slab, DATA_HEADROOM, DATA_HEADROOM), RangeError);
    assert.throws(() => stream.sendDatagram(slab, DATAGRAM_HEADROOM - 1, 20), RangeError);
  };
  assert.equal((await during(clock, client.request(CONNECT))).status, 200);
});

test("a client's GOAWAY reaches the server, and changes nothing else", async () => {
  const { clock, client, server } = world();
  const goaways: number[] = [];
  server.onGoaway = (id) => goaways.push(id);
  server.onRequest = (stream) => stream.respond(200);
  client.goaway();
  assert.equal((await during(clock, client.request(CONNECT))).status, 200);
  assert.deepEqual(goaways, [0]);
});

test("HEADERS and a small body that the stream does not take at once follow later, and so does its end", async () => {
  const clock = new FakeClock();
  const pair = fakeQuicPair({ schedule: clock.schedule });
  const client = new Http3Connection(pair.client, "client", { schedule: clock.schedule });
  let full = true;
  const wake: (() => void)[] = [];
  const server = new Http3Connection(
    fullAtFirst(pair.server, () => full, wake),
    "server",
    { schedule: clock.schedule },
  );
  server.onRequest = (stream) => stream.respond(200, [], { body: pattern(9), end: true });
  const asking = client.request(GET, { end: true });
  await clock.advance(20);
  full = false;
  for (const call of wake) call();
  assert.deepEqual((await during(clock, body(await during(clock, asking)))).bytes, pattern(9));
});

/** A connection whose request streams take nothing while `full`. */
function fullAtFirst(quic: QuicConnection, full: () => boolean, wake: (() => void)[]): QuicConnection {
  return new Proxy(quic, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value: unknown) => {
      if (name !== "onStream" || typeof value !== "function") return Reflect.set(target, name, value, target);
      target.onStream = (stream) => {
        const { write } = stream;
        wake.push(() => stream.onWritable?.());
        stream.write = (slab, from, to) => (full() ? 0 : write.call(stream, slab, from, to));
        value(stream);
      };
      return true;
    },
  });
}

test("the time-outs are the caller's clock", async () => {
  const { clock, client, server } = world({}, { responseTimeoutMs: 50 });
  server.onRequest = () => {};
  const started = clock.now;
  await assert.rejects(during(clock, client.request(CONNECT)), /did not answer within 50 ms/);
  assert.ok(clock.now - started < 100);
});
