/**
 * Key exchange against quic-go, whose TLS is Go's own: what each side says was negotiated, in both roles and for each
 * `key_exchange`, and that a peer without a common group is refused with a reason.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import { openQuicEndpoint } from "../../shared/native/addon.ts";
import type { HandshakeRefusal, KeyExchange, QuicConnection, QuicEndpoint } from "../../shared/native/quic.ts";
import { Service } from "../harness/process.ts";
import { CLIENT_NAME, makeCertificates, SERVER_NAME, tlsMaterial } from "./certificates.ts";
import { quicGoPeer } from "./quic-go.ts";

const HYBRID = "X25519MLKEM768";
const CLASSICAL = "X25519";
/** handshake_failure (RFC 8446 section 6.2) as a QUIC error (RFC 9001 section 4.8). */
const HANDSHAKE_FAILURE = 0x100 + 40;

/** What both sides shall have negotiated; undefined: they have no group in common. */
const CASES: readonly (readonly [KeyExchange, offered: string, group: string | undefined])[] = [
  ["prefer-pq", `${HYBRID},${CLASSICAL}`, HYBRID],
  ["prefer-pq", `${CLASSICAL},${HYBRID}`, HYBRID],
  ["prefer-pq", CLASSICAL, CLASSICAL],
  ["require-pq", `${HYBRID},${CLASSICAL}`, HYBRID],
  ["require-pq", HYBRID, HYBRID],
  ["require-pq", CLASSICAL, undefined],
  ["classical", `${HYBRID},${CLASSICAL}`, CLASSICAL],
  ["classical", HYBRID, undefined],
];

const program = await quicGoPeer();
const { ours } = await makeCertificates();

function files(leaf: string): string[] {
  return [join(ours, `${leaf}.pem`), join(ours, `${leaf}-key.pem`), join(ours, "ca.pem")];
}

function opened(t: TestContext, options: Partial<Parameters<typeof openQuicEndpoint>[0]> = {}): QuicEndpoint {
  const endpoint = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"], ...options });
  t.after(() => endpoint.close(0, ""));
  return endpoint;
}

describe("quic-go as client of our server", () => {
  for (const [keyExchange, offered, group] of CASES) {
    test(`${keyExchange} against ${offered}: ${group ?? "refused"}`, async (t) => {
      const endpoint = opened(t, { server: { ...tlsMaterial(ours, "server"), keyExchange } });
      const outcome = new Promise<QuicConnection | HandshakeRefusal>((resolve) => {
        endpoint.onConnection = resolve;
        endpoint.onRefused = resolve;
      });
      const client = new Service([
        program,
        "client",
        endpoint.localAddress,
        SERVER_NAME,
        ...files(CLIENT_NAME),
        offered,
      ]);
      t.after(() => client.stop());
      const [, said] = await client.waitForOutput(/^(group .*|failed .*)$/m);
      const atServer = await outcome;
      if (group !== undefined) {
        assert.equal(said, `group ${group}`);
        assert.ok("keyExchangeGroup" in atServer);
        assert.equal(atServer.keyExchangeGroup, group);
        return;
      }
      assert.match(said ?? "", /^failed CRYPTO_ERROR 0x128 \(remote\)/);
      assert.ok("remote" in atServer && "code" in atServer, "our server took it");
      assert.equal(atServer.code, HANDSHAKE_FAILURE);
      assert.match(atServer.reason, /NoKxGroupsInCommon/);
    });
  }
});

describe("quic-go as server of our client", () => {
  for (const [keyExchange, offered, group] of CASES) {
    test(`${keyExchange} against ${offered}: ${group ?? "refused"}`, async (t) => {
      const server = new Service([program, "server", ...files("server"), offered]);
      t.after(() => server.stop());
      const [, port] = await server.waitForOutput(/^port (\d+)$/m);
      const endpoint = opened(t);
      const tls = { ...tlsMaterial(ours, CLIENT_NAME), keyExchange };
      const connecting = endpoint.connect(`127.0.0.1:${port}`, SERVER_NAME, tls);
      if (group === undefined) {
        await assert.rejects(connecting, { code: "ZG_TLS_HANDSHAKE", message: /\berror 40\b/ });
        return;
      }
      const connection = await connecting;
      assert.equal(connection.keyExchangeGroup, group);
      const [, said] = await server.waitForOutput(/^group (.*)$/m);
      assert.equal(said, group);
    });
  }
});
