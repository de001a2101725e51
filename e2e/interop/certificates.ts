/** Two CAs with a server and a client each: ours, and a foreign one with names of its own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsMaterial } from "../../shared/native/quic.ts";
import { initAuthority } from "../../shared/pki/authority.ts";
import { issueLeaf } from "../../shared/pki/issuance.ts";
import { onProcessEnd } from "../harness/cleanup.ts";

export const SERVER_NAME = "interop.test";
export const CLIENT_NAME = "client-1";

export interface Certificates {
  /** Folders with `ca.pem`, `server.pem`, `client-1.pem` and the keys. */
  readonly ours: string;
  readonly foreign: string;
}

/** Makes both in a folder that goes with the process. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = mkdtempSync(join(tmpdir(), "zgate-interop-"));
  onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
  const made = { ours: join(folder, "ours"), foreign: join(folder, "foreign") };
  for (const [name, pki] of Object.entries(made)) {
    const now = new Date();
    await initAuthority({ folder: pki, name, keyType: "p256", now });
    await issueLeaf({ folder: pki, kind: "relay", name: "server", names: [SERVER_NAME], keyType: "p256", now });
    await issueLeaf({ folder: pki, kind: "client", name: CLIENT_NAME, names: [], keyType: "p256", now });
  }
  return made;
}

/** The certificate of `leaf` from the folder `pki`, for a side that trusts the CA of `trusted`. */
export function tlsMaterial(pki: string, leaf: string, trusted = pki): TlsMaterial {
  return {
    certificatePem: readFileSync(join(pki, `${leaf}.pem`), "utf8"),
    privateKeyPem: readFileSync(join(pki, `${leaf}-key.pem`), "utf8"),
    caPem: readFileSync(join(trusted, "ca.pem"), "utf8"),
    keyExchange: "prefer-pq",
  };
}
