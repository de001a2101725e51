/**
 * Who is revoked by a set of lists: for sessions in progress when a list changes. Signatures are not verified here: the
 * TLS stack does so in every handshake, and a list is a local file that can only end sessions.
 *
 *   leaf ▸ the CAs that may have signed it, of the chain that was sent and of our trust anchors ▸ those above them ▸ …
 *
 * A peer may leave out CAs that are trust anchors here, so what it sent is not the whole chain.
 */
import { createHash } from "node:crypto";
import { MAX_KNOWN_AUTHORITIES } from "./constants.ts";
import { certificateParts } from "./der.ts";
import { nameHash, normalSerial } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { pemBlocks, pemBytes } from "./pem.ts";
import { readRevocationLists } from "./revocation-list.ts";

/** What is looked at of a CA certificate; names are `nameHash`. */
interface Authority {
  readonly serial: string;
  readonly issuer: string;
  readonly subject: string;
  readonly authorityKey: string | undefined;
  readonly subjectKey: string | undefined;
}

/** Which certificate is asked about: who issued it. */
type Issued = Pick<Authority, "issuer" | "authorityKey">;

export class RevocationIndex {
  /** By `Identity.issuer`: serial numbers. */
  readonly #serials = new Map<string, Set<string>>();
  readonly #anchors: readonly Authority[];
  /** What peers sent as CA certificates, by its SHA-256; undefined for what is none. Sessions share a few. */
  readonly #known = new Map<string, Authority | undefined>();

  /** Throws `ZG_TLS_MATERIAL` when a list in it cannot be read. `file` names it in errors. `caPem`: the trust anchors. */
  constructor(file: string, crlPem: string, caPem: string) {
    for (const list of readRevocationLists(file, crlPem)) {
      const issuer = nameHash(list.issuer);
      this.#serials.set(issuer, list.serials.union(this.#serials.get(issuer) ?? new Set()));
    }
    this.#anchors = pemBlocks("the trust anchors", caPem, "CERTIFICATE").map((block) => authorityOf(pemBytes(block)));
  }

  /** The serial number of the leaf, or of the first CA above it, that is revoked. `chainDer` is as the peer sent it, leaf first. */
  revokedSerial(leaf: Identity, chainDer: readonly Uint8Array[]): string | undefined {
    if (this.#has(leaf.issuer, leaf.serial)) return leaf.serial;
    const [leafDer, ...sent] = chainDer;
    if (leafDer === undefined) return undefined;
    const above = sent
      .map((certificate) => this.#authority(certificate))
      .filter((authority) => authority !== undefined);
    const rest = new Set([...above, ...this.#anchors]);
    const below: Issued[] = [{ issuer: leaf.issuer, authorityKey: certificateParts(leafDer).authorityKey }];
    for (let issued = below.pop(); issued !== undefined; issued = below.pop()) {
      for (const authority of rest) {
        if (!mayHaveIssued(authority, issued)) continue;
        if (this.#has(authority.issuer, authority.serial)) return authority.serial;
        rest.delete(authority);
        below.push(authority);
      }
    }
    return undefined;
  }

  #has(issuer: string, serial: string): boolean {
    return this.#serials.get(issuer)?.has(serial) === true;
  }

  /** Undefined for bytes that are no certificate: the TLS stack passes them over, and they have issued nothing. */
  #authority(certificate: Uint8Array): Authority | undefined {
    const fingerprint = createHash("sha256").update(certificate).digest("base64");
    if (this.#known.has(fingerprint)) return this.#known.get(fingerprint);
    const authority = sentAuthorityOf(certificate);
    if (this.#known.size < MAX_KNOWN_AUTHORITIES) this.#known.set(fingerprint, authority);
    return authority;
  }
}

/** The names fit, and the key identifiers where both have one: a CA may have had several keys. */
function mayHaveIssued({ subject, subjectKey }: Authority, { issuer, authorityKey }: Issued): boolean {
  if (subject !== issuer) return false;
  return subjectKey === undefined || authorityKey === undefined || subjectKey === authorityKey;
}

function authorityOf(certificate: Uint8Array): Authority {
  const { serial, issuer, subject, ...keys } = certificateParts(certificate);
  return { serial: normalSerial(serial), issuer: nameHash(issuer), subject: nameHash(subject), ...keys };
}

function sentAuthorityOf(certificate: Uint8Array): Authority | undefined {
  try {
    return authorityOf(certificate);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
