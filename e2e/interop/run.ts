/**
 * Our HTTP/3 against aioquic, an independent implementation, both ways and with certificates on both sides.
 *
 *   aioquic_client.py ──UDP, loopback──▸ test-server.ts     one process a scenario
 *   this process      ──UDP, loopback──▸ aioquic_server.py  one process, a connection a test
 *
 * Started by `make interop`; exits with 0 when everything passed.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { openQuicEndpoint } from "../../shared/native/addon.ts";
import { READ_END } from "../../shared/native/quic.ts";
import type { QuicEndpoint, TlsMaterial } from "../../shared/native/quic.ts";
import { Http3Connection } from "../../shared/http3/connection.ts";
import { DATAGRAM_HEADROOM, DATA_HEADROOM } from "../../shared/http3/constants.ts";
import { Http3Error } from "../../shared/http3/fault.ts";
import type { Fields } from "../../shared/http3/fields.ts";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import type { Http3Stream } from "../../shared/http3/stream.ts";
import { initAuthority } from "../../shared/pki/authority.ts";
import { issueLeaf } from "../../shared/pki/issuance.ts";
import { check } from "../harness/command.ts";
import { Service } from "../harness/process.ts";
import { pythonWithAioquic } from "./python.ts";
import { serve } from "./test-server.ts";

const SERVER_NAME = "interop.test";
const CLIENT_NAME = "client-1";
/** RFC 9001 section 4.8 and RFC 8446 section 6: 0x100 + the TLS alert. */
const CERTIFICATE_REQUIRED = 0x100 + 116;
const UNKNOWN_CA = 0x100 + 48;
const BAD_CERTIFICATE = 0x100 + 42;
/** Bytes echoed through one CONNECT stream: many flow-control windows of aioquic. */
const ECHO_BYTES = 3_000_000;

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "zgate-interop-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const ours = join(folder, "ours");
/** Another CA, of another name, with a client of the same name. */
const foreign = join(folder, "foreign");
const python = await pythonWithAioquic();
for (const [pki, name] of [
  [ours, "interop"],
  [foreign, "foreign"],
] as const) {
  const now = new Date();
  await initAuthority({ folder: pki, name, keyType: "p256", now });
  await issueLeaf({ folder: pki, kind: "relay", name: "server", names: [SERVER_NAME], keyType: "p256", now });
  await issueLeaf({ folder: pki, kind: "client", name: CLIENT_NAME, names: [], keyType: "p256", now });
}

function tls(pki: string, leaf: string): TlsMaterial {
  return {
    certificatePem: readFileSync(join(pki, `${leaf}.pem`), "utf8"),
    privateKeyPem: readFileSync(join(pki, `${leaf}-key.pem`), "utf8"),
    caPem: readFileSync(join(ours, "ca.pem"), "utf8"),
    keyExchange: "prefer-pq",
  };
}

describe("aioquic as client of our server", () => {
  let endpoint: QuicEndpoint;
  before(() => {
    endpoint = openQuicEndpoint({ bind: "127.0.0.1:0", server: tls(ours, "server"), alpn: ["h3"] });
    endpoint.onConnection = serve;
  });
  after(() => endpoint.close(HTTP3_CODE.H3_NO_ERROR, ""));

  /** Runs one scenario; what it printed. `pki` undefined: without a certificate. */
  async function scenario(name: string, pki: string | undefined): Promise<unknown> {
    const script = [python, "-B", join(here, "aioquic_client.py"), name, endpoint.localAddress, SERVER_NAME];
    const certificate = pki === undefined ? [] : [join(pki, `${CLIENT_NAME}.pem`), join(pki, `${CLIENT_NAME}-key.pem`)];
    return JSON.parse(await check([...script, join(ours, "ca.pem"), ...certificate]));
  }

  const scenarios = [
    "settings",
    "get",
    "post",
    "not_found",
    "large_headers",
    "too_large_headers",
    "connect_echo",
    "datagrams",
    "goaway",
    "malformed",
  ];
  for (const name of scenarios) test(name.replaceAll("_", " "), async () => void (await scenario(name, ours)));

  test("the client's certificate names it", async () => assert.equal(await scenario("identity", ours), CLIENT_NAME));

  test("no certificate: refused", async () => {
    assert.equal(await scenario("refused", undefined), CERTIFICATE_REQUIRED);
  });

  test("a certificate of another CA: refused", async () => {
    assert.equal(await scenario("refused", foreign), UNKNOWN_CA);
  });
});

describe("aioquic as server of our client", () => {
  let server: Service;
  let address: string;
  let endpoint: QuicEndpoint;
  before(async () => {
    const files = [join(ours, "server.pem"), join(ours, "server-key.pem"), join(ours, "ca.pem")];
    server = new Service([python, "-B", join(here, "aioquic_server.py"), ...files]);
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
      await endpoint.connect(address, SERVER_NAME, tls(ours, CLIENT_NAME)),
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

  test("a certificate of another CA: refused", async () => {
    const quic = await endpoint.connect(address, SERVER_NAME, tls(foreign, CLIENT_NAME));
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
