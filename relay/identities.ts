/**
 * Who the peers of new connections are. To parse a certificate holds up the packets of all sessions for 0.3 ms, and most
 * connections come from clients that were here before, with the same certificate: what it says is kept.
 *
 *   verified leaf, DER ▸ SHA-256 ▸ known: its identity; else parse and remember, the oldest one makes room
 */
import { hash } from "node:crypto";
import { messageOf } from "../shared/errors.ts";
import { clientIdentity } from "../shared/pki/identity.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { MAX_KNOWN_IDENTITIES } from "./constants.ts";

export class Identities {
  /** By the certificate's hash, oldest first. */
  readonly #known = new Map<string, Identity | string>();

  /** `chain`: DER, the leaf first, as TLS has verified it. A sentence instead, when the leaf names no client. */
  of([leaf]: readonly Uint8Array[]): Identity | string {
    if (leaf === undefined) return "there is no client certificate";
    const fingerprint = hash("sha256", leaf, "hex");
    const known = this.#known.get(fingerprint);
    if (known !== undefined) return known;
    const identity = parsed(leaf);
    const [oldest] = this.#known.keys();
    if (this.#known.size === MAX_KNOWN_IDENTITIES && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(fingerprint, identity);
    return identity;
  }
}

function parsed(leaf: Uint8Array): Identity | string {
  try {
    return clientIdentity(leaf);
  } catch (error) {
    return messageOf(error);
  }
}
