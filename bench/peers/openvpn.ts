/**
 * OpenVPN from Debian's packages, in userspace (`disable-dco`), as openvpn-examples(5) sets up a small VPN
 * with peer fingerprints; over UDP, with AES-256-GCM.
 *
 *   client 10.92.0.x ── openvpn ══ UDP 1194 ══ openvpn ── 10.92.0.1 relay ── masquerade ── target
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { checkSync } from "../../e2e/harness/command.ts";
import type { Namespace } from "../../e2e/harness/namespace.ts";
import { TUNNEL_UP_TIMEOUT_MS } from "../constants.ts";
import { provide } from "../programs.ts";
import { RELAY_ADDRESS, forwardAndMasquerade } from "../site.ts";
import type { Peer, TunnelEnd } from "./peer.ts";

const DIRECTORY = join(import.meta.dirname, "..", "out", "openvpn");
/** Lines that both ends share. */
const COMMON = "dev tun\nproto udp\ndisable-dco\ndata-ciphers AES-256-GCM\nverb 3\n";

export const openvpn: Peer = {
  name: "openvpn",
  async prepare() {
    const missing = (await provide("openssl", "openssl")) ?? (await provide("openvpn", "openvpn"));
    if (missing !== undefined) return missing;
    mkdirSync(DIRECTORY, { recursive: true });
    const server = makeCertificate("server");
    const client = makeCertificate("client");
    writeConfig(
      "server",
      `server 10.92.0.0 255.255.255.0\ntopology subnet\ndh none\nkeepalive 60 300
push "route 203.0.113.0 255.255.255.0"\n<peer-fingerprint>\n${client}\n</peer-fingerprint>\n`,
    );
    writeConfig("client", `client\nremote ${RELAY_ADDRESS} 1194\nnobind\npeer-fingerprint ${server}\n`);
    return undefined;
  },
  startRelay({ relay }) {
    forwardAndMasquerade(relay);
    return start(relay, "server");
  },
  startClient: ({ client }) => start(client, "client"),
};

async function start(namespace: Namespace, end: "server" | "client"): Promise<TunnelEnd> {
  const service = namespace.spawn(["openvpn", "--config", `${end}.conf`], { cwd: DIRECTORY });
  await service.waitForOutput(/Initialization Sequence Completed/, TUNNEL_UP_TIMEOUT_MS);
  return { services: [service], stop: async () => void (await service.stop()) };
}

function writeConfig(end: "server" | "client", lines: string): void {
  writeFileSync(join(DIRECTORY, `${end}.conf`), `${COMMON}cert ${end}.crt\nkey ${end}.key\n${lines}`);
}

/** Makes a self-signed certificate and gives its SHA-256 fingerprint. */
function makeCertificate(name: string): string {
  checkSync(
    [
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes"],
      ...["-keyout", `${name}.key`, "-out", `${name}.crt`, "-sha256", "-days", "2", "-subj", `/CN=${name}`],
    ],
    { cwd: DIRECTORY },
  );
  const printed = checkSync(["openssl", "x509", "-fingerprint", "-sha256", "-in", `${name}.crt`, "-noout"], {
    cwd: DIRECTORY,
  });
  return printed.slice(printed.indexOf("=") + 1).trim();
}
