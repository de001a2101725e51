/**
 * Who is revoked by a set of lists: for sessions in progress when a list changes. Signatures are not verified here: the
 * TLS stack does so in every handshake, and a list is a local file that can only end sessions.
 */
import { createHash } from "node:crypto";
import { MAX_KNOWN_AUTHORITIES } from "./constants.ts";
import { certificateParts } from "./der.ts";
import { nameHash, normalSerial } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { readRevocationLists } from "./revocation-list.ts";

export class RevocationIndex {
  /** By `Identity.issuer`: serial numbers. */
  readonly #serials = new Map<string, Set<string>>();
  /** CA certificates of chains by their SHA-256: their serial number where they are revoked. Sessions share a few. */
  readonly #authorities = new Map<string, string | undefined>();

  /** Throws `ZG_TLS_MATERIAL` when a list in it cannot be read. `file` names it in errors. */
  constructor(file: string, crlPem: string) {
    for (const list of readRevocationLists(file, crlPem)) {
      const issuer = nameHash(list.issuer);
      this.#serials.set(issuer, list.serials.union(this.#serials.get(issuer) ?? new Set()));
    }
  }

  /** The serial number of the leaf, or of the first CA above it, that is revoked. `chainDer` is verified, leaf first. */
  revokedSerial(leaf: Identity, chainDer: readonly Uint8Array[]): string | undefined {
    if (this.#has(leaf.issuer, leaf.serial)) return leaf.serial;
    for (const certificate of chainDer.slice(1)) {
      const serial = this.#revokedAuthority(certificate);
      if (serial !== undefined) return serial;
    }
    return undefined;
  }

  #has(issuer: string, serial: string): boolean {
    return this.#serials.get(issuer)?.has(serial) === true;
  }

  #revokedAuthority(certificate: Uint8Array): string | undefined {
    const fingerprint = createHash("sha256").update(certificate).digest("base64");
    if (this.#authorities.has(fingerprint)) return this.#authorities.get(fingerprint);
    const parts = certificateParts(certificate);
    const serial = normalSerial(parts.serial);
    const revoked = this.#has(nameHash(parts.issuer), serial) ? serial : undefined;
    if (this.#authorities.size < MAX_KNOWN_AUTHORITIES) this.#authorities.set(fingerprint, revoked);
    return revoked;
  }
}
