/**
 * Peers that break HTTP/3: each rule of the RFCs about an error, the bytes that break it, and the code that
 * must answer. `closes`: the connection ends with that code and sentence. `resets`: that stream alone does.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { READ_RESET, type QuicStream } from "../native/quic.ts";
import { MAX_INTERIM_RESPONSES, MAX_STREAMS_A_WINDOW, MAX_UNTYPED_STREAMS, STREAM_WINDOW_MS } from "./constants.ts";
import { Http3Error } from "./fault.ts";
import { encodeFieldSection } from "./qpack-encoder.ts";
import type { Fields } from "./fields.ts";
import { HTTP3_CODE, type Http3CodeName } from "./spec.ts";
import { CONNECT, GET, body, during, halfWorld, hex, toHex, type HalfWorld } from "./test-world.ts";

/** What a peer sends on one stream: hexadecimal, `FIN` or `RESET` at the end. */
type Script = string;

interface Connection {
  readonly what: string;
  /** Unidirectional streams, in the order in which they are opened. */
  readonly uni?: readonly Script[];
  /** Request streams (of a raw client), or the answer to our GET (of a raw server). */
  readonly bidi?: readonly Script[];
  readonly datagrams?: readonly string[];
  readonly closes: Http3CodeName;
  readonly says: string;
}

/** Type 0, empty SETTINGS. */
const CONTROL = "00 0400";

const headers = (fields: Fields): string => {
  const section = encodeFieldSection(fields);
  assert.ok(section.length < 0x4000);
  return `01 ${(0x4000 | section.length).toString(16)} ${toHex(section)}`;
};
const request = headers(GET);
const connect = headers(CONNECT);
const ok = headers([[":status", "200"]]);

/** From a client or a server alike. */
// oxfmt-ignore
const FROM_BOTH: readonly Connection[] = [
  // Control stream (RFC 9114 section 6.2.1, 7.2.4)
  { what: "a control stream that does not begin with SETTINGS", uni: ["00 07 01 00"], closes: "H3_MISSING_SETTINGS", says: "a GOAWAY frame came before SETTINGS" },
  { what: "grease before SETTINGS", uni: ["00 21 00 0400"], closes: "H3_MISSING_SETTINGS", says: "a frame of type 0x21 came before SETTINGS" },
  { what: "SETTINGS twice", uni: [`${CONTROL} 0400`], closes: "H3_FRAME_UNEXPECTED", says: "a SETTINGS frame for the second time" },
  { what: "a second control stream", uni: [CONTROL, CONTROL], closes: "H3_STREAM_CREATION_ERROR", says: "a second control stream" },
  { what: "a control stream that ends", uni: [`${CONTROL} FIN`], closes: "H3_CLOSED_CRITICAL_STREAM", says: "the peer ended its control stream" },
  { what: "a control stream that is reset", uni: [`${CONTROL} RESET`], closes: "H3_CLOSED_CRITICAL_STREAM", says: "the peer ended its control stream" },
  { what: "a control stream that ends inside a frame", uni: [`${CONTROL} 21 05 00 FIN`], closes: "H3_FRAME_ERROR", says: "the stream ended inside a frame of type 0x21" },
  { what: "a control stream that ends inside a frame header", uni: [`${CONTROL} 07 FIN`], closes: "H3_FRAME_ERROR", says: "the stream ended inside a frame header" },
  { what: "DATA on the control stream", uni: [`${CONTROL} 00 01 00`], closes: "H3_FRAME_UNEXPECTED", says: "a DATA frame on the control stream" },
  { what: "HEADERS on the control stream", uni: [`${CONTROL} 01 00`], closes: "H3_FRAME_UNEXPECTED", says: "a HEADERS frame on the control stream" },
  { what: "PUSH_PROMISE on the control stream", uni: [`${CONTROL} 05 00`], closes: "H3_FRAME_UNEXPECTED", says: "a PUSH_PROMISE frame on the control stream" },
  { what: "an HTTP/2 PRIORITY frame on the control stream", uni: [`${CONTROL} 02 00`], closes: "H3_FRAME_UNEXPECTED", says: "a frame of type 0x2 on the control stream" },
  { what: "an HTTP/2 PING frame on the control stream", uni: [`${CONTROL} 06 00`], closes: "H3_FRAME_UNEXPECTED", says: "a frame of type 0x6 on the control stream" },
  { what: "settings that are cut", uni: ["00 04 01 06"], closes: "H3_FRAME_ERROR", says: "a SETTINGS frame ends inside a setting" },
  { what: "a setting of HTTP/2", uni: ["00 04 02 0200"], closes: "H3_SETTINGS_ERROR", says: "setting 0x2 is a setting of HTTP/2 (RFC 9114 section 7.2.4.1)" },
  { what: "H3_DATAGRAM 2 (RFC 9297 section 2.1.1)", uni: ["00 04 02 3302"], closes: "H3_SETTINGS_ERROR", says: "setting 0x33 is 2, expected 0 or 1" },
  { what: "SETTINGS of a gigabyte", uni: ["00 04 c000000040000000"], closes: "H3_EXCESSIVE_LOAD", says: "a SETTINGS frame of 1073741824 bytes, the most is 4096" },
  // GOAWAY, CANCEL_PUSH (sections 5.2, 7.2.3, 7.2.6)
  { what: "GOAWAY without an id", uni: [`${CONTROL} 07 00`], closes: "H3_FRAME_ERROR", says: "a GOAWAY frame whose payload is not one varint" },
  { what: "GOAWAY with more than an id", uni: [`${CONTROL} 07 02 0000`], closes: "H3_FRAME_ERROR", says: "a GOAWAY frame whose payload is not one varint" },
  { what: "a GOAWAY that rises", uni: [`${CONTROL} 07 01 04 07 01 08`], closes: "H3_ID_ERROR", says: "a GOAWAY frame rises from 4 to 8" },
  { what: "GOAWAY of a megabyte", uni: [`${CONTROL} 07 80100000`], closes: "H3_FRAME_ERROR", says: "a GOAWAY frame of 1048576 bytes, the most is 8" },
  { what: "CANCEL_PUSH of a push that never was", uni: [`${CONTROL} 03 01 00`], closes: "H3_ID_ERROR", says: "a CANCEL_PUSH frame for a push that was never promised" },
  // QPACK streams (RFC 9204 sections 4.2 to 4.4)
  { what: "a second encoder stream", uni: [CONTROL, "02", "02"], closes: "H3_STREAM_CREATION_ERROR", says: "a second QPACK encoder stream" },
  { what: "a second decoder stream", uni: [CONTROL, "03", "03"], closes: "H3_STREAM_CREATION_ERROR", says: "a second QPACK decoder stream" },
  { what: "an encoder stream that ends", uni: [CONTROL, "02 FIN"], closes: "H3_CLOSED_CRITICAL_STREAM", says: "the peer ended a QPACK stream" },
  { what: "a decoder stream that is reset", uni: [CONTROL, "03 RESET"], closes: "H3_CLOSED_CRITICAL_STREAM", says: "the peer ended a QPACK stream" },
  { what: "a dynamic table capacity", uni: [CONTROL, "02 3fbd01"], closes: "QPACK_ENCODER_STREAM_ERROR", says: "instruction 0x3f needs a dynamic table, and its capacity is 0" },
  { what: "an insertion", uni: [CONTROL, "02 c00161"], closes: "QPACK_ENCODER_STREAM_ERROR", says: "instruction 0xc0 needs a dynamic table, and its capacity is 0" },
  { what: "an acknowledgment of nothing", uni: [CONTROL, "03 80"], closes: "QPACK_DECODER_STREAM_ERROR", says: "the peer's QPACK decoder acknowledges dynamic table entries, and none was sent" },
  { what: "an insert count increment", uni: [CONTROL, "03 01"], closes: "QPACK_DECODER_STREAM_ERROR", says: "the peer's QPACK decoder acknowledges dynamic table entries, and none was sent" },
  // Datagrams (RFC 9297 section 2.1)
  { what: "an empty datagram", uni: [CONTROL], datagrams: [""], closes: "H3_DATAGRAM_ERROR", says: "a datagram without a valid quarter stream id" },
  { what: "a datagram that ends inside its id", uni: [CONTROL], datagrams: ["4000", "40"], closes: "H3_DATAGRAM_ERROR", says: "a datagram without a valid quarter stream id" },
  { what: "a datagram for stream 2^62", uni: [CONTROL], datagrams: ["d000000000000000"], closes: "H3_DATAGRAM_ERROR", says: "a datagram without a valid quarter stream id" },
  // Our own limits
  { what: "streams that do not say their type", uni: Array.from({ length: MAX_UNTYPED_STREAMS + 1 }, () => "40"), closes: "H3_EXCESSIVE_LOAD", says: "more than 8 unidirectional streams that do not say their type" },
];

// oxfmt-ignore
const FROM_CLIENT: readonly Connection[] = [
  { what: "a push stream", uni: [CONTROL, "01 00"], closes: "H3_STREAM_CREATION_ERROR", says: "a push stream from a client" },
  { what: "a MAX_PUSH_ID that falls", uni: [`${CONTROL} 0d 01 05 0d 01 04`], closes: "H3_ID_ERROR", says: "a MAX_PUSH_ID frame falls from 5 to 4" },
  { what: "MAX_PUSH_ID without an id", uni: [`${CONTROL} 0d 00`], closes: "H3_FRAME_ERROR", says: "a MAX_PUSH_ID frame whose payload is not one varint" },
  { what: "DATA before HEADERS", bidi: ["00 01 00"], closes: "H3_FRAME_UNEXPECTED", says: "a DATA frame before HEADERS" },
  { what: "SETTINGS on a request stream", bidi: ["0400"], closes: "H3_FRAME_UNEXPECTED", says: "a SETTINGS frame on a request stream" },
  { what: "GOAWAY on a request stream", bidi: ["07 01 00"], closes: "H3_FRAME_UNEXPECTED", says: "a GOAWAY frame on a request stream" },
  { what: "CANCEL_PUSH on a request stream", bidi: ["03 01 00"], closes: "H3_FRAME_UNEXPECTED", says: "a CANCEL_PUSH frame on a request stream" },
  { what: "MAX_PUSH_ID on a request stream", bidi: ["0d 01 00"], closes: "H3_FRAME_UNEXPECTED", says: "a MAX_PUSH_ID frame on a request stream" },
  { what: "PUSH_PROMISE from a client", bidi: ["05 01 00"], closes: "H3_FRAME_UNEXPECTED", says: "a PUSH_PROMISE frame on a request stream" },
  { what: "an HTTP/2 CONTINUATION frame", bidi: ["09 00"], closes: "H3_FRAME_UNEXPECTED", says: "a frame of type 0x9 on a request stream" },
  { what: "an HTTP/2 WINDOW_UPDATE frame after HEADERS", bidi: [`${request} 08 00`], closes: "H3_FRAME_UNEXPECTED", says: "a frame of type 0x8 on a request stream" },
  { what: "HEADERS that the stream's end cuts", bidi: ["01 05 0000 FIN"], closes: "H3_FRAME_ERROR", says: "the stream ended inside a HEADERS frame" },
  { what: "a request stream that ends inside a frame header", bidi: ["01 FIN"], closes: "H3_FRAME_ERROR", says: "the stream ended inside a frame header" },
  { what: "a request stream that ends inside an unknown frame", bidi: ["21 02 00 FIN"], closes: "H3_FRAME_ERROR", says: "the stream ended inside a frame of type 0x21" },
  { what: "DATA that the stream's end cuts", bidi: [`${request} 00 05 6161 FIN`], closes: "H3_FRAME_ERROR", says: "the stream ended inside a DATA frame" },
  { what: "DATA after trailers", bidi: [`${request} 01 02 0000 00 01 61`], closes: "H3_FRAME_UNEXPECTED", says: "a DATA frame after trailers" },
  { what: "trailers twice", bidi: [`${request} 01 02 0000 01 02 0000`], closes: "H3_FRAME_UNEXPECTED", says: "a HEADERS frame after trailers" },
  { what: "trailers on an extended CONNECT", bidi: [`${connect} 01 02 0000`], closes: "H3_FRAME_UNEXPECTED", says: "a HEADERS frame after the HEADERS of a CONNECT" },
  { what: "a reference to the dynamic table", bidi: ["01 03 0000 80"], closes: "QPACK_DECOMPRESSION_FAILED", says: "a field line refers to the dynamic table" },
  { what: "a required insert count", bidi: ["01 04 0381 10 11"], closes: "QPACK_DECOMPRESSION_FAILED", says: "the section needs dynamic table entries" },
  { what: "HEADERS without a prefix", bidi: ["01 00"], closes: "QPACK_DECOMPRESSION_FAILED", says: "the section ends inside a field line" },
];

// oxfmt-ignore
const FROM_SERVER: readonly Connection[] = [
  { what: "a push stream", uni: [CONTROL, "01 00"], closes: "H3_ID_ERROR", says: "a push stream, and no push was allowed" },
  { what: "MAX_PUSH_ID from a server", uni: [`${CONTROL} 0d 01 00`], closes: "H3_FRAME_UNEXPECTED", says: "a MAX_PUSH_ID frame from a server" },
  { what: "GOAWAY that names no request stream", uni: [`${CONTROL} 07 01 01`], closes: "H3_ID_ERROR", says: "a GOAWAY frame names stream 1, which is no request stream" },
  { what: "PUSH_PROMISE of a push that was not allowed", bidi: ["05 03 00 0000"], closes: "H3_ID_ERROR", says: "a PUSH_PROMISE frame, and no push was allowed" },
  { what: "DATA before HEADERS", bidi: ["00 01 61"], closes: "H3_FRAME_UNEXPECTED", says: "a DATA frame before HEADERS" },
  { what: "DATA after an interim response", bidi: [`${headers([[":status", "103"]])} 00 01 61`], closes: "H3_FRAME_UNEXPECTED", says: "a DATA frame before HEADERS" },
  { what: "a response that the stream's end cuts", bidi: ["01 05 0000 FIN"], closes: "H3_FRAME_ERROR", says: "the stream ended inside a HEADERS frame" },
];

for (const role of ["server", "client"] as const) {
  for (const row of [...FROM_BOTH, ...(role === "server" ? FROM_CLIENT : FROM_SERVER)]) {
    for (const pieces of [[], [1]]) {
      const how = pieces.length === 0 ? "" : ", byte by byte";
      test(`our ${role} closes with ${row.closes}: ${row.what}${how}`, async () => {
        const world = halfWorld(role, { pieces });
        void drive(world, role, row);
        const info = await during(world.clock, world.peer.closed);
        assert.deepEqual(info, {
          source: "peer-application",
          code: HTTP3_CODE[row.closes],
          reason: `${row.closes}: ${row.says}`,
        });
      });
    }
  }
}

async function drive(
  { ours, peer, clock, opened }: HalfWorld,
  role: "client" | "server",
  row: Connection,
): Promise<void> {
  ours.onRequest = (stream) => {
    stream.respond(200);
    void body(stream);
  };
  for (const script of row.uni ?? []) {
    const stream = await peer.openUni();
    play(stream, script);
    // A reset overtakes what was written before it.
    if (script.endsWith("RESET")) clock.schedule(100, () => stream.reset(HTTP3_CODE.H3_NO_ERROR));
  }
  if (role === "client" && row.bidi !== undefined) {
    ours.request(GET, { end: true }).catch(() => {});
    await clock.advance(20);
    const stream = opened.find(({ direction }) => direction === "bidi");
    assert.ok(stream);
    play(stream, row.bidi[0]!);
  } else {
    for (const script of row.bidi ?? []) play(await peer.openBidi(), script);
  }
  for (const datagram of row.datagrams ?? []) peer.sendDatagram(hex(datagram), 0, hex(datagram).length);
}

function play(stream: QuicStream, script: Script): void {
  const bytes = hex(script.replace(/FIN|RESET/, ""));
  stream.write(bytes, 0, bytes.length);
  if (script.endsWith("FIN")) stream.finish();
}

interface StreamFault {
  readonly what: string;
  readonly sends: Script;
  readonly resets: Http3CodeName;
}

const BAD_REQUESTS: readonly StreamFault[] = [
  { what: "a stream that ends before the request", sends: "21 00 FIN", resets: "H3_REQUEST_INCOMPLETE" },
  { what: "a request without :path", sends: headers(GET.slice(0, 3)), resets: "H3_MESSAGE_ERROR" },
  { what: "an upper-case name", sends: headers([...GET, ["Accept", "a"]]), resets: "H3_MESSAGE_ERROR" },
  {
    what: "a connection-specific field",
    sends: headers([...GET, ["connection", "close"]]),
    resets: "H3_MESSAGE_ERROR",
  },
  { what: "trailers with a pseudo-header field", sends: `${request} ${ok}`, resets: "H3_MESSAGE_ERROR" },
  {
    what: "more body than content-length",
    sends: `${headers([...GET, ["content-length", "1"]])} 00 02 6161`,
    resets: "H3_MESSAGE_ERROR",
  },
  {
    what: "less body than content-length",
    sends: `${headers([...GET, ["content-length", "3"]])} 00 02 6161 FIN`,
    resets: "H3_MESSAGE_ERROR",
  },
  { what: "trailers that are too large", sends: `${request} 01 80010000`, resets: "H3_EXCESSIVE_LOAD" },
];

for (const row of BAD_REQUESTS) {
  test(`our server resets the stream with ${row.resets}: ${row.what}`, async () => {
    const { clock, ours, peer } = halfWorld("server");
    ours.onRequest = (stream) => void body(stream);
    const bad = await during(clock, peer.openBidi());
    play(bad, row.sends);
    await clock.advance(50);
    assert.equal(bad.read(new Uint8Array(9), 0, 9), READ_RESET);
    assert.equal(bad.resetCode, HTTP3_CODE[row.resets]);
    await stillServes(clock, ours, peer);
  });
}

const BAD_ANSWERS: readonly StreamFault[] = [
  { what: "no response at all", sends: "FIN", resets: "H3_MESSAGE_ERROR" },
  { what: "an interim response alone", sends: `${headers([[":status", "100"]])} FIN`, resets: "H3_MESSAGE_ERROR" },
  { what: "a response without :status", sends: headers([["server", "x"]]), resets: "H3_MESSAGE_ERROR" },
  {
    what: "a response with :path",
    sends: headers([
      [":status", "200"],
      [":path", "/"],
    ]),
    resets: "H3_MESSAGE_ERROR",
  },
  { what: "101", sends: headers([[":status", "101"]]), resets: "H3_MESSAGE_ERROR" },
  { what: "a field section above the limit", sends: "01 80100000", resets: "H3_EXCESSIVE_LOAD" },
  {
    what: "endless interim responses",
    sends: headers([[":status", "103"]]).repeat(MAX_INTERIM_RESPONSES + 1),
    resets: "H3_EXCESSIVE_LOAD",
  },
];

for (const row of BAD_ANSWERS) {
  test(`our client stops the stream with ${row.resets}: ${row.what}`, async () => {
    const { clock, ours, opened } = halfWorld("client");
    const asking = ours.request(GET);
    asking.catch(() => {});
    await clock.advance(20);
    const stream = opened.find(({ direction }) => direction === "bidi")!;
    stream.read(new Uint8Array(1000), 0, 1000);
    const sends = hex(row.sends.replace("FIN", ""));
    if (sends.length > 0) stream.write(sends, 0, sends.length);
    if (row.sends.endsWith("FIN")) stream.finish();
    await assert.rejects(during(clock, asking), (error: unknown) => {
      assert.ok(error instanceof Http3Error);
      assert.equal(error.http3Code, HTTP3_CODE[row.resets]);
      return true;
    });
    await clock.advance(20);
    assert.equal(stream.resetCode, HTTP3_CODE[row.resets]);
  });
}

async function stillServes(clock: HalfWorld["clock"], ours: HalfWorld["ours"], peer: HalfWorld["peer"]): Promise<void> {
  ours.onRequest = (stream) => stream.respond(204, [], { end: true });
  const good = await during(clock, peer.openBidi());
  play(good, `${request} FIN`);
  await clock.advance(50);
  const answer = new Uint8Array(99);
  const got = good.read(answer, 0, 99);
  assert.equal(toHex(answer.subarray(0, got)), toHex(hex("01 04 0000 ff01 # :status 204")));
}

test("a server-initiated request stream closes our client with H3_STREAM_CREATION_ERROR", async () => {
  const { clock, peer } = halfWorld("client");
  play(await during(clock, peer.openBidi()), request);
  assert.equal((await during(clock, peer.closed)).code, HTTP3_CODE.H3_STREAM_CREATION_ERROR);
});

test("our control stream that the peer stops closes the connection", async () => {
  const { clock, ours, peer, opened } = halfWorld("server");
  await clock.advance(20);
  opened[0]!.stop(HTTP3_CODE.H3_NO_ERROR);
  await clock.advance(20);
  ours.goaway();
  assert.equal((await during(clock, peer.closed)).code, HTTP3_CODE.H3_CLOSED_CRITICAL_STREAM);
});

test("a peer that sends no SETTINGS is closed after the time-out", async () => {
  const { clock, ours, peer } = halfWorld("server", {}, { settingsTimeoutMs: 100 });
  play(await during(clock, peer.openUni()), "00 04 05 21");
  const info = await during(clock, peer.closed);
  assert.equal(info.code, HTTP3_CODE.H3_MISSING_SETTINGS);
  await assert.rejects(ours.peerSettings, { code: "ZG_CONNECTION_CLOSED" });
  assert.ok(clock.now < 200);
});

test("a request stream that says nothing is rejected after the time-out, and others go on", async () => {
  const { clock, ours, peer } = halfWorld("server", {}, { headersTimeoutMs: 100 });
  const silent = await during(clock, peer.openBidi());
  play(silent, "01 05 00");
  await clock.advance(200);
  assert.equal(silent.read(new Uint8Array(9), 0, 9), READ_RESET);
  assert.equal(silent.resetCode, HTTP3_CODE.H3_REQUEST_REJECTED);
  await stillServes(clock, ours, peer);
});

test("unanswered requests beyond the limit are rejected; an answer makes room", async () => {
  const { clock, ours, peer } = halfWorld("server", {}, { maxPendingRequests: 2 });
  const held: (() => void)[] = [];
  ours.onRequest = (stream) => held.push(() => stream.respond(200));
  const streams: QuicStream[] = [];
  for (let i = 0; i < 4; i++) {
    if (i === 3) held[0]!();
    const stream = await during(clock, peer.openBidi());
    play(stream, connect);
    streams.push(stream);
    await clock.advance(50);
  }
  for (const stream of streams) stream.read(new Uint8Array(99), 0, 99);
  assert.deepEqual(
    streams.map(({ resetCode }) => resetCode),
    [-1, -1, HTTP3_CODE.H3_REQUEST_REJECTED, -1],
  );
  assert.equal(held.length, 3);
});

test("streams that are reset at once count, too: one too many closes, and a window later they begin anew", async () => {
  const { clock, ours, peer } = halfWorld("server");
  const rapid = async (count: number): Promise<void> => {
    for (let streams = 0; streams < count; streams++) {
      const stream = await during(clock, peer.openBidi());
      stream.write(Uint8Array.of(1, 0x40), 0, 2);
      stream.reset(HTTP3_CODE.H3_REQUEST_CANCELLED);
      stream.stop(HTTP3_CODE.H3_REQUEST_CANCELLED);
    }
  };
  play(await during(clock, peer.openUni()), CONTROL);
  await rapid(MAX_STREAMS_A_WINDOW - 2);
  await stillServes(clock, ours, peer);
  await clock.advance(STREAM_WINDOW_MS);
  await rapid(MAX_STREAMS_A_WINDOW - 1);
  await stillServes(clock, ours, peer);
  await rapid(1);
  const info = await during(clock, ours.closed);
  assert.equal(info.code, HTTP3_CODE.H3_EXCESSIVE_LOAD);
  assert.equal(
    info.reason,
    `H3_EXCESSIVE_LOAD: more than ${MAX_STREAMS_A_WINDOW} streams within ${STREAM_WINDOW_MS} ms`,
  );
});

test("a field section above the limit is answered with 431, and others go on", async () => {
  const { clock, ours, peer } = halfWorld("server");
  for (const sends of [
    "01 80010000 0000",
    headers([...GET, ...Array.from({ length: 500 }, () => ["a", "b"] as const)]),
  ]) {
    const stream = await during(clock, peer.openBidi());
    play(stream, sends);
    await clock.advance(50);
    const answer = new Uint8Array(99);
    const got = stream.read(answer, 0, 99);
    assert.equal(toHex(answer.subarray(0, got)), toHex(hex(headers([[":status", "431"]]).replace(/^01 40/, "01 "))));
    assert.equal(stream.stopCode, HTTP3_CODE.H3_NO_ERROR);
  }
  await stillServes(clock, ours, peer);
});

test("unknown streams are stopped, unknown frames and settings are skipped", async () => {
  const { clock, ours, peer } = halfWorld("server");
  const unknown = await during(clock, peer.openUni());
  play(unknown, "4021 616161");
  play(await during(clock, peer.openUni()), "00 04 05 21 05 4a01 00 21 03 616263 800f0700 02 0000 0d 01 05 0d 01 05");
  play(await during(clock, peer.openUni()), "02 20 20");
  play(await during(clock, peer.openUni()), "03 41 7f00");
  play(await during(clock, peer.openUni()), "40 FIN");
  await clock.advance(50);
  assert.equal(unknown.stopCode, HTTP3_CODE.H3_STREAM_CREATION_ERROR);
  const served = Promise.withResolvers<string>();
  ours.onRequest = (stream) => void body(stream).then(({ bytes }) => served.resolve(Buffer.from(bytes).toString()));
  play(
    await during(clock, peer.openBidi()),
    `21 00 ${request} 40ff 01 00 00 02 6162 21 01 00 00 00 00 01 63 01 02 0000 21 00 FIN`,
  );
  assert.equal(await during(clock, served.promise), "abc");
});

test("datagrams for streams that are unknown or done are dropped", async () => {
  const { clock, ours, peer } = halfWorld("server");
  for (const datagram of ["00", "05 61", "cfffffffffffffff 61"])
    peer.sendDatagram(hex(datagram), 0, hex(datagram).length);
  await clock.advance(50);
  await stillServes(clock, ours, peer);
});

test("a datagram for a request without datagrams resets it with H3_DATAGRAM_ERROR", async () => {
  const { clock, ours, peer } = halfWorld("server");
  ours.onRequest = () => {};
  const stream = await during(clock, peer.openBidi());
  play(stream, request);
  await clock.advance(50);
  peer.sendDatagram(hex("00 61"), 0, 2);
  await clock.advance(50);
  assert.equal(stream.read(new Uint8Array(9), 0, 9), READ_RESET);
  assert.equal(stream.resetCode, HTTP3_CODE.H3_DATAGRAM_ERROR);
  await stillServes(clock, ours, peer);
});

test("a peer that floods empty frames leaves the event loop to others", async () => {
  const { clock, ours, peer } = halfWorld("server", { receiveWindow: 1 << 20, highWater: 1 << 20 });
  const flood = await during(clock, peer.openBidi());
  const empty = hex("2100".repeat(100_000));
  flood.write(empty, 0, empty.length);
  await stillServes(clock, ours, peer);
});
