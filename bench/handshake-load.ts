/**
 * Handshakes with a relay, one after another on several connections at a time, in one process.
 *
 *   node bench/handshake-load.ts ADDRESS:PORT SERVER_NAME CERT KEY CA KEY_EXCHANGE COUNT
 *
 * A handshake that the relay accepts is closed at once; one that it refuses is over when its refusal came. Prints
 * one line of JSON, a `HandshakeReport`.
 */
import { readFileSync } from "node:fs";
import { openQuicEndpoint } from "../shared/native/addon.ts";
import type { KeyExchange, TlsMaterial } from "../shared/native/quic.ts";
import { HANDSHAKES_AT_ONCE } from "./constants.ts";

export interface HandshakeReport {
  readonly accepted: number;
  readonly refused: number;
  readonly seconds: number;
  /** The TLS named group of the last one that was accepted. */
  readonly group: string;
}

/** How soon a refusal follows the client's own end of the handshake, milliseconds; a verdict is certain after it. */
const VERDICT_MS = 2_000;

if (import.meta.main) {
  const [remote = "", serverName = "", cert = "", key = "", ca = "", keyExchange = "", count = ""] =
    process.argv.slice(2);
  const read = (path: string): string => readFileSync(path, "utf8");
  const tls: TlsMaterial = {
    certificatePem: read(cert),
    privateKeyPem: read(key),
    caPem: read(ca),
    keyExchange: keyExchange as KeyExchange,
  };
  console.log(JSON.stringify(await load(remote, serverName, tls, Number(count))));
  process.exit(0);
}

async function load(remote: string, serverName: string, tls: TlsMaterial, count: number): Promise<HandshakeReport> {
  const endpoint = openQuicEndpoint({ bind: "0.0.0.0:0", alpn: ["h3"] });
  let begun = 0;
  let accepted = 0;
  let group = "";
  const worker = async (): Promise<void> => {
    while (begun++ < count) {
      try {
        const connection = await endpoint.connect(remote, serverName, tls);
        // SETTINGS of the relay are the sign that it took the certificate (RFC 9114 section 3.2).
        const settings = new Promise<"accepted">((resolve) => {
          connection.onStream = () => resolve("accepted");
        });
        const late = new Promise<"late">((resolve) => {
          setTimeout(resolve, VERDICT_MS, "late").unref();
        });
        if ((await Promise.race([settings, connection.closed, late])) === "accepted") {
          accepted++;
          group = connection.keyExchangeGroup;
        }
        connection.close(0x100, "measured");
      } catch {
        // Refused before the client's end of the handshake; counted by what is missing.
      }
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: HANDSHAKES_AT_ONCE }, worker));
  const seconds = (performance.now() - start) / 1000;
  await endpoint.close(0x100, "measured");
  return { accepted, refused: count - accepted, seconds, group };
}
