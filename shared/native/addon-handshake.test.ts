/** The handshake of the real addon: who is who, what is agreed on, and every way to be refused. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { openQuicEndpoint } from "./addon.ts";
import { ConnectFailure } from "./connect-failure.ts";
import type { CloseInfo, HandshakeRefusal, KeyExchange, QuicConnection, QuicEndpoint, TlsMaterial } from "./quic.ts";
import { material, TestAuthority } from "./test-certificates.ts";
import { tlsRefusal } from "./tls-refusal.ts";
import { nextConnection, openPair, openTestEndpoint, testTls } from "./test-pair.ts";

function nextRefusal(endpoint: QuicEndpoint): Promise<HandshakeRefusal> {
  return new Promise((resolve) => {
    endpoint.onRefused = resolve;
  });
}

/** The client's view of a refusal: `connect` rejects, or the connection is closed at once (TLS 1.3). */
async function refusedAtClient(connecting: Promise<QuicConnection>): Promise<CloseInfo> {
  try {
    const connection = await connecting;
    return await connection.closed;
  } catch (thrown) {
    assert.ok(thrown instanceof ConnectFailure);
    assert.equal(thrown.code, "ZG_TLS_HANDSHAKE");
    assert.ok(thrown.end !== undefined);
    assert.ok(thrown.message.endsWith(thrown.end.reason), thrown.message);
    return thrown.end;
  }
}

suite("identity", { timeout: 30_000 }, () => {
  test("each side sees the other's chain, leaf first, and what was agreed on", async (t) => {
    const root = await TestAuthority.root("root");
    const issuing = await root.intermediate("issuing");
    const serverLeaf = await issuing.leaf("relay.test");
    const clientLeaf = await issuing.leaf("client-1");
    const server = openTestEndpoint(t, { server: material(serverLeaf, root) });
    const client = openTestEndpoint(t);
    const [atServer, atClient] = await Promise.all([
      nextConnection(server),
      client.connect(server.localAddress, "relay.test", material(clientLeaf, root)),
    ]);
    const der = (...certificates: { rawData: ArrayBuffer }[]) =>
      certificates.map((certificate) => Buffer.from(certificate.rawData).toString("hex"));
    const hex = (chain: readonly Uint8Array[]) => chain.map((bytes) => Buffer.from(bytes).toString("hex"));
    assert.deepEqual(hex(atServer.peerChainDer), der(clientLeaf.certificate, issuing.certificate));
    assert.deepEqual(hex(atClient.peerChainDer), der(serverLeaf.certificate, issuing.certificate));
    for (const side of [atServer, atClient]) {
      assert.equal(side.alpn, "h3");
      assert.equal(side.keyExchangeGroup, "X25519MLKEM768");
      assert.equal(side.cipherSuite, "TLS13_AES_128_GCM_SHA256");
    }
    assert.equal(atServer.remote, client.localAddress);
    assert.equal(atClient.remote, server.localAddress);
  });

  test("a server is verified by an address as well as by a name", async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server });
    server.onConnection = () => {};
    const connection = await openTestEndpoint(t).connect(server.localAddress, "127.0.0.1", tls.client);
    assert.equal(connection.alpn, "h3");
  });

  const groups: readonly { client: KeyExchange; server: KeyExchange; group: string }[] = [
    { client: "prefer-pq", server: "prefer-pq", group: "X25519MLKEM768" },
    { client: "prefer-pq", server: "require-pq", group: "X25519MLKEM768" },
    { client: "require-pq", server: "prefer-pq", group: "X25519MLKEM768" },
    { client: "require-pq", server: "require-pq", group: "X25519MLKEM768" },
    { client: "prefer-pq", server: "classical", group: "X25519" },
    { client: "classical", server: "prefer-pq", group: "X25519" },
    { client: "classical", server: "classical", group: "X25519" },
  ];
  for (const { client, server, group } of groups) {
    test(`${client} with ${server} agrees on ${group}`, async (t) => {
      const tls = await testTls();
      const listening = openTestEndpoint(t, { server: { ...tls.server, keyExchange: server } });
      const [atServer, atClient] = await Promise.all([
        nextConnection(listening),
        openTestEndpoint(t).connect(listening.localAddress, "relay.test", { ...tls.client, keyExchange: client }),
      ]);
      assert.equal(atServer.keyExchangeGroup, group);
      assert.equal(atClient.keyExchangeGroup, group);
    });
  }
});

suite("refused", { timeout: 30_000 }, () => {
  interface Refused {
    readonly name: string;
    /** Changes to what would work. */
    readonly client?: (t: Fixture) => Promise<TlsMaterial> | TlsMaterial;
    readonly server?: (t: Fixture) => Promise<TlsMaterial> | TlsMaterial;
    readonly alpn?: readonly string[];
    readonly serverName?: string;
    readonly code: number;
    readonly atServer: RegExp;
    readonly atClient: RegExp;
  }
  interface Fixture {
    readonly authority: TestAuthority;
    readonly client: TlsMaterial;
    readonly server: TlsMaterial;
  }
  const alert = (description: number) => 0x100 + description;
  // The client's sentence is its own when it refused, else the alert that it was told.
  const table: readonly Refused[] = [
    {
      name: "a client of another CA",
      client: async ({ authority }) => {
        const other = await TestAuthority.root("other CA");
        return material(await other.leaf("client-1"), authority);
      },
      code: alert(48), // unknown_ca
      atServer: /UnknownIssuer/,
      atClient: /UnknownIssuer/,
    },
    {
      name: "a client whose certificate expired",
      client: async ({ authority }) => material(await authority.leaf("client-1", { expired: true }), authority),
      code: alert(45), // certificate_expired
      atServer: /certificate expired/,
      atClient: /certificate expired/,
    },
    {
      name: "a client whose certificate is revoked",
      client: async ({ authority }) => material(await revokedLeaf(authority), authority),
      server: async ({ authority, server }) => ({
        ...server,
        crlPem: await authority.revocationList([await revokedLeaf(authority)]),
      }),
      code: alert(44), // certificate_revoked
      atServer: /Revoked/,
      atClient: /Revoked/,
    },
    {
      name: "a server of another CA",
      server: async ({ authority }) => {
        const other = await TestAuthority.root("other CA");
        return material(await other.leaf("relay.test"), authority);
      },
      code: alert(48), // unknown_ca
      atServer: /UnknownIssuer/,
      atClient: /UnknownIssuer/,
    },
    {
      name: "a server with another name",
      serverName: "other.test",
      code: alert(42), // bad_certificate
      atServer: /not valid for name "other\.test"/,
      atClient: /not valid for name "other\.test"/,
    },
    {
      name: "another ALPN",
      alpn: ["other"],
      code: alert(120), // no_application_protocol
      atServer: /./,
      atClient: /./,
    },
    {
      name: "no common group",
      client: ({ client }) => ({ ...client, keyExchange: "classical" }),
      server: ({ server }) => ({ ...server, keyExchange: "require-pq" }),
      code: alert(40), // handshake_failure
      atServer: /NoKxGroupsInCommon/,
      atClient: /NoKxGroupsInCommon/,
    },
  ];
  const revoked = new WeakMap<TestAuthority, Promise<Awaited<ReturnType<TestAuthority["leaf"]>>>>();
  function revokedLeaf(authority: TestAuthority) {
    const leaf = revoked.get(authority) ?? authority.leaf("client-2");
    revoked.set(authority, leaf);
    return leaf;
  }
  for (const { name, client, server, alpn, serverName, code, atServer, atClient } of table) {
    test(name, async (t) => {
      const tls = await testTls();
      const served = server === undefined ? tls.server : await server(tls);
      const listening = openTestEndpoint(t, { server: served });
      listening.onConnection = () => assert.fail("the server took the connection");
      const connecting = openTestEndpoint(t, { alpn: alpn ?? ["h3"] });
      const shown = client === undefined ? tls.client : await client(tls);
      const [refusal, seen] = await Promise.all([
        nextRefusal(listening),
        refusedAtClient(connecting.connect(listening.localAddress, serverName ?? "relay.test", shown)),
      ]);
      assert.equal(refusal.code, code, refusal.reason);
      assert.match(refusal.reason, atServer);
      assert.match(refusal.remote, /^127\.0\.0\.1:\d+$/);
      assert.equal(seen.code, code);
      assert.match(seen.reason, atClient);
      const atRelay = tlsRefusal(refusal, { side: "relay", keyExchange: served.keyExchange });
      assert.ok(atRelay !== undefined, "no meaning");
      assert.deepEqual(tlsRefusal(seen, { side: "agent", keyExchange: shown.keyExchange }), atRelay);
    });
  }

  test("nobody answers", async (t) => {
    const tls = await testTls();
    const silent = createSocket("udp4").bind(0, "127.0.0.1");
    t.after(() => silent.close());
    await once(silent, "listening");
    const client = openTestEndpoint(t, { transport: { idleTimeoutMs: 50 } });
    const connecting = client.connect(`127.0.0.1:${silent.address().port}`, "relay.test", tls.client);
    await assert.rejects(connecting, { code: "ZG_CONNECT_FAILED", message: /timed out/ });
  });

  test("handshakes beyond the limit", async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server, maxHandshakes: 0 });
    const connecting = openTestEndpoint(t).connect(server.localAddress, "relay.test", tls.client);
    const refusal = nextRefusal(server);
    await assert.rejects(connecting, { code: "ZG_CONNECT_FAILED", message: /refuses new connections/ });
    assert.deepEqual((await refusal).code, 2);
  });

  test("a Retry costs a round trip and nothing else", async (t) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server, retryAbove: 0 });
    server.onConnection = () => {};
    const connection = await openTestEndpoint(t).connect(server.localAddress, "relay.test", tls.client);
    assert.equal(connection.keyExchangeGroup, "X25519MLKEM768");
  });
});

suite("server material", { timeout: 30_000 }, () => {
  test("a swap holds for the next handshake and leaves connections alone", async (t) => {
    const tls = await testTls();
    const pair = await openPair(t);
    const next = await TestAuthority.root("next CA");
    pair.server.setServerTls(material(await next.leaf("relay.test"), next));
    const accepted = nextConnection(pair.server);
    const client = material(await next.leaf("client-9"), next);
    const connection = await pair.client.connect(pair.server.localAddress, "relay.test", client);
    await accepted;
    assert.equal(connection.peerChainDer.length, 1);
    await assert.rejects(pair.client.connect(pair.server.localAddress, "relay.test", tls.client), {
      code: "ZG_TLS_HANDSHAKE",
    });
    const stream = await pair.atClient.openUni();
    assert.equal(stream.write(Uint8Array.of(1), 0, 1), 1);
  });

  const wrong: readonly { name: string; change: (tls: TlsMaterial) => TlsMaterial; message: RegExp }[] = [
    { name: "no certificate", change: (tls) => ({ ...tls, certificatePem: "" }), message: /certificate: no PEM block/ },
    { name: "no key", change: (tls) => ({ ...tls, privateKeyPem: "nothing" }), message: /private key: .*PKCS#8/ },
    { name: "no CA", change: (tls) => ({ ...tls, caPem: "" }), message: /CA: no PEM block/ },
    { name: "no CRL", change: (tls) => ({ ...tls, crlPem: "nothing" }), message: /CRL: no PEM block/ },
    {
      name: "broken PEM",
      change: (tls) => ({ ...tls, certificatePem: "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n" }),
      message: /certificate: /,
    },
  ];
  for (const { name, change, message } of wrong) {
    test(`${name}: refused, and what was in force stays`, async (t) => {
      const tls = await testTls();
      const server = openTestEndpoint(t, { server: tls.server });
      const expected = { name: "ZgateError", code: "ZG_TLS_MATERIAL", message };
      assert.throws(() => server.setServerTls(change(tls.server)), expected);
      assert.throws(
        () => openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"], server: change(tls.server) }),
        expected,
      );
      server.onConnection = () => {};
      await openTestEndpoint(t).connect(server.localAddress, "relay.test", tls.client);
    });
  }

  test("a key of another certificate", async (t: TestContext) => {
    const tls = await testTls();
    const server = openTestEndpoint(t, { server: tls.server });
    const mixed = { ...tls.server, privateKeyPem: tls.client.privateKeyPem };
    assert.throws(() => server.setServerTls(mixed), {
      code: "ZG_TLS_MATERIAL",
      message: /certificate and private key/,
    });
  });
});
