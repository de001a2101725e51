/**
 * Our HTTP/3 client against aioquic as server that requires client certificates. One connection a test.
 *
 *   this process ──UDP, loopback──▸ aioquic_server.py
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Http3Connection } from "../../shared/http3/connection.ts";
import { DATAGRAM_HEADROOM, DATA_HEADROOM } from "../../shared/http3/constants.ts";
import { Http3Error } from "../../shared/http3/fault.ts";
import type { Fields } from "../../shared/http3/fields.ts";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import type { Http3Stream } from "../../shared/http3/stream.ts";
import { openQuicEndpoint } from "../../shared/native/addon.ts";
import { READ_END } from "../../shared/native/quic.ts";
import type { QuicEndpoint } from "../../shared/native/quic.ts";
import { Service } from "../harness/process.ts";
import { CLIENT_NAME, makeCertificates, SERVER_NAME, tlsMaterial } from "./certificates.ts";
import { pythonWithAioquic } from "./python.ts";

/** RFC 9001 section 4.8 and RFC 8446 section 6: 0x100 + the TLS alert. */
const BAD_CERTIFICATE = 0x100 + 42;
const UNEXPECTED_MESSAGE = 0x100 + 10;
/** Bytes echoed through one CONNECT stream: many flow-control windows of aioquic. */
const ECHO_BYTES = 3_000_000;

const python = await pythonWithAioquic();
const { ours, foreign } = await makeCertificates();

describe("aioquic as server of our client", () => {
  let server: Service;
  let address: string;
  let endpoint: QuicEndpoint;
  before(async () => {
    const files = [join(ours, "server.pem"), join(ours, "server-key.pem"), join(ours, "ca.pem")];
    server = new Service([python, "-B", join(import.meta.dirname, "aioquic_server.py"), ...files]);
    const [, port] = await server.waitForOutput(/^port (\d+)$/m);
    address = `127.0.0.1:${port}`;
    endpoint = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"] });
  });
  after(async () => {
    await endpoint.close(HTTP3_CODE.H3_NO_ERROR, "");
    await server.stop();
  });

  /** Runs `work` on a connection of its own. */
  async function connected<T>(work: (connection: Http3Connection) => Promise<T>): Promise<T> {
    const connection = new Http3Connection(
      await endpoint.connect(address, SERVER_NAME, tlsMaterial(ours, CLIENT_NAME)),
      "client",
    );
    try {
      return await work(connection);
    } finally {
      connection.close(HTTP3_CODE.H3_NO_ERROR, "");
    }
  }

  test("its SETTINGS are read", () =>
    connected(async (connection) => {
      const settings = await connection.peerSettings;
      assert.equal(settings.enableConnectProtocol, true);
      assert.equal(settings.h3Datagram, true);
      assert.ok(settings.qpackMaxTableCapacity > 0, "aioquic offers a dynamic table, which we do not use");
    }));

  test("GET, behind an interim response; the client's certificate names it", () =>
    connected(async (connection) => {
      const stream = await connection.request(get("/hello"), { end: true });
      assert.equal(stream.status, 200);
      assert.equal(stream.field("x-client"), `CN=${CLIENT_NAME}`);
      assert.equal((await body(stream)).toString(), "hello\n");
    }));

  test("404", () =>
    connected(async (connection) => {
      assert.equal((await connection.request(get("/nowhere"), { end: true })).status, 404);
    }));

  test("large headers", () =>
    connected(async (connection) => {
      const stream = await connection.request([...get("/headers"), ["x-large", "b".repeat(9000)]], { end: true });
      for (let i = 0; i < 12; i++) assert.equal(stream.field(`x-large-${i}`), "aeiou012".repeat(125));
    }));

  test("a body with trailers", () =>
    connected(async (connection) => {
      assert.equal((await body(await connection.request(get("/trailers"), { end: true }))).toString(), "body");
    }));

  test("extended CONNECT echoes 3 MB", () =>
    connected(async (connection) => {
      const stream = await connection.request(connect);
      assert.equal(stream.status, 200);
      const sent = Buffer.from(Uint8Array.from({ length: ECHO_BYTES }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
      const echoed = body(stream);
      send(stream, sent);
      assert.ok((await echoed).equals(sent));
    }));

  test("datagrams", () =>
    connected(async (connection) => {
      const slab = new Uint8Array(DATAGRAM_HEADROOM + 1000).fill(7);
      for (const stream of [await connection.request(connect), await connection.request(connect)]) {
        const echoed = Promise.withResolvers<number>();
        stream.onDatagram = (_view, from, to) => echoed.resolve(to - from);
        assert.ok(stream.maxDatagramSize >= 1000, `${stream.maxDatagramSize} bytes a datagram`);
        assert.ok(stream.sendDatagram(slab, DATAGRAM_HEADROOM, slab.length));
        assert.equal(await echoed.promise, 1000);
      }
    }));

  test("GOAWAY: no new requests, those in progress go on", () =>
    connected(async (connection) => {
      const lane = await connection.request(connect);
      const said = Promise.withResolvers<number>();
      connection.onGoaway = said.resolve;
      const last = await connection.request(get("/goaway"), { end: true });
      assert.equal(await said.promise, last.id + 4);
      await assert.rejects(connection.request(get("/hello")), { code: "ZG_CONNECTION_CLOSED" });
      const echoed = body(lane);
      send(lane, Buffer.from("still here"));
      assert.equal((await echoed).toString(), "still here");
    }));

  test("a reset in place of an answer", () =>
    connected(async (connection) => {
      await assert.rejects(connection.request(get("/reset"), { end: true }), (error: unknown) => {
        assert.ok(error instanceof Http3Error);
        assert.equal(error.http3Code, HTTP3_CODE.H3_REQUEST_CANCELLED);
        return true;
      });
    }));

  test("a KeyUpdate of TLS ends the connection (RFC 9001 section 6)", () =>
    connected(async (connection) => {
      const asked = connection.request(get("/key-update"), { end: true });
      const { source, code } = await connection.closed;
      assert.deepEqual({ source, code }, { source: "transport", code: UNEXPECTED_MESSAGE });
      await assert.rejects(asked, { code: "ZG_CONNECTION_CLOSED" });
    }));

  test("a certificate of another CA: refused", async () => {
    const quic = await endpoint.connect(address, SERVER_NAME, tlsMaterial(foreign, CLIENT_NAME, ours));
    const { source, code } = await quic.closed;
    assert.deepEqual({ source, code }, { source: "peer-transport", code: BAD_CERTIFICATE });
  });
});

function get(path: string): Fields {
  return [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", SERVER_NAME],
    [":path", path],
  ];
}

const connect: Fields = [
  [":method", "CONNECT"],
  [":protocol", "zgate-lane"],
  [":scheme", "https"],
  [":authority", SERVER_NAME],
  [":path", "/lane/0"],
];

/** The body to its end; rejects when the stream is reset. */
function body(stream: Http3Stream): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const parts: Uint8Array[] = [];
  const slab = new Uint8Array(64 * 1024);
  const read = (): void => {
    for (;;) {
      const got = stream.readBody(slab, 0, slab.length);
      if (got > 0) parts.push(slab.slice(0, got));
      else if (got === READ_END) return resolve(Buffer.concat(parts));
      else if (got === 0) return;
      else return reject(new Error(`stream ${stream.id} was reset with ${stream.resetCode}`));
    }
  };
  stream.onReadable = read;
  read();
  return promise;
}

/** Sends all of it, then finishes. */
function send(stream: Http3Stream, bytes: Uint8Array): void {
  const slab = new Uint8Array(64 * 1024);
  let at = 0;
  const write = (): void => {
    while (at < bytes.length) {
      const part = bytes.subarray(at, at + slab.length - DATA_HEADROOM);
      slab.set(part, DATA_HEADROOM);
      const taken = stream.writeBody(slab, DATA_HEADROOM, DATA_HEADROOM + part.length);
      if (taken <= 0) return;
      at += taken;
    }
    stream.finish();
  };
  stream.onWritable = write;
  write();
}
