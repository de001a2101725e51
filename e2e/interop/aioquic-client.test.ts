/**
 * aioquic as client of our HTTP/3 server, certificates on both sides. One process a scenario.
 *
 *   aioquic_client.py ──UDP, loopback──▸ test-server.ts
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import { openQuicEndpoint } from "../../shared/native/addon.ts";
import type { QuicEndpoint } from "../../shared/native/quic.ts";
import { check } from "../harness/command.ts";
import { CLIENT_NAME, makeCertificates, SERVER_NAME, tlsMaterial } from "./certificates.ts";
import { pythonWithAioquic } from "./python.ts";
import { serve } from "./test-server.ts";

/** RFC 9001 section 4.8 and RFC 8446 section 6: 0x100 + the TLS alert. */
const CERTIFICATE_REQUIRED = 0x100 + 116;
const UNKNOWN_CA = 0x100 + 48;
const UNEXPECTED_MESSAGE = 0x100 + 10;

const python = await pythonWithAioquic();
const { ours, foreign } = await makeCertificates();

describe("aioquic as client of our server", () => {
  let endpoint: QuicEndpoint;
  before(() => {
    endpoint = openQuicEndpoint({ bind: "127.0.0.1:0", server: tlsMaterial(ours, "server"), alpn: ["h3"] });
    endpoint.onConnection = serve;
  });
  after(() => endpoint.close(HTTP3_CODE.H3_NO_ERROR, ""));

  /** Runs one scenario; what it printed. `pki` undefined: without a certificate. */
  async function scenario(name: string, pki: string | undefined): Promise<unknown> {
    const script = [
      python,
      "-B",
      join(import.meta.dirname, "aioquic_client.py"),
      name,
      endpoint.localAddress,
      SERVER_NAME,
    ];
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

  // RFC 9001 section 6: KeyUpdate is a connection error; RFC 8446: tickets are the server's to send.
  for (const { name, message } of [
    { name: "a KeyUpdate", message: "18 000001 00" },
    { name: "a NewSessionTicket", message: "04 00000e 00000e10 00000000 00 0001 aa 0000" },
    { name: "a certificate that nobody asked for", message: "0b 000004 00 000000" },
    { name: "the first byte of a message", message: "18" },
  ]) {
    test(`${name} after the handshake ends the connection, and no other`, async () => {
      const neighbour = scenario("connect_echo", ours);
      const ended = await scenario(`late_tls=${message}`, ours);
      assert.deepEqual(ended, { code: UNEXPECTED_MESSAGE, reason: "a TLS message after the handshake" });
      await neighbour;
      await scenario("get", ours);
    });
  }

  test("no certificate: refused", async () => {
    assert.equal(await scenario("refused", undefined), CERTIFICATE_REQUIRED);
  });

  test("a certificate of another CA: refused", async () => {
    assert.equal(await scenario("refused", foreign), UNKNOWN_CA);
  });
});
