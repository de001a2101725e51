/**
 * One TLS handshake with a relay, by the QUIC layer alone, with whatever certificate it is given: what the
 * agent would refuse to send, the relay has to refuse to take.
 *
 *   node handshake.ts ADDRESS:PORT SERVER_NAME CERT KEY CA
 *
 * Prints one line of JSON: `{"connected":true}` when the relay still took it after a request for the session,
 * or `{"connected":false,"code":305,"reason":"…"}`.
 */
import { readFileSync } from "node:fs";
import { messageOf } from "../../shared/errors.ts";
import { openQuicEndpoint } from "../../shared/native/addon.ts";

export interface HandshakeResult {
  readonly connected: boolean;
  /** A TLS alert A is 0x100 + A (RFC 9001 section 4.8). */
  readonly code?: number;
  readonly reason?: string;
}

/** A refusal of the client's certificate comes after the client's own handshake (RFC 8446 section 4.4.2.4). */
const REFUSAL_WAIT_MS = 3_000;

if (import.meta.main) {
  const [remote = "", serverName = "", certificate = "", key = "", ca = ""] = process.argv.slice(2);
  const read = (path: string): string => readFileSync(path, "utf8");
  const endpoint = openQuicEndpoint({ bind: "0.0.0.0:0", alpn: ["h3"] });
  const result = await shake(remote, serverName, {
    certificatePem: read(certificate),
    privateKeyPem: read(key),
    caPem: read(ca),
  });
  console.log(JSON.stringify(result));
  await endpoint.close(0x100, "done");

  async function shake(
    to: string,
    name: string,
    material: { certificatePem: string; privateKeyPem: string; caPem: string },
  ): Promise<HandshakeResult> {
    try {
      const connection = await endpoint.connect(to, name, { ...material, keyExchange: "prefer-pq" });
      const patience = new Promise<undefined>((resolve) => {
        setTimeout(resolve, REFUSAL_WAIT_MS, undefined).unref();
      });
      const closed = await Promise.race([connection.closed, patience]);
      return closed === undefined
        ? { connected: true }
        : { connected: false, code: closed.code, reason: closed.reason };
    } catch (thrown) {
      return { connected: false, reason: messageOf(thrown) };
    }
  }
}
