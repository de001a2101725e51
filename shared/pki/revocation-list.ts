/** Certificate revocation lists (RFC 5280 section 5): made for our own CAs, read of any. Pure. */
import "reflect-metadata";
import { createHash } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  Extension,
  PemConverter,
  X509Certificate,
  X509Crl,
  X509CrlGenerator,
  X509CrlReason,
} from "@peculiar/x509";
import { messageOf, ZgateError } from "../errors.ts";
import { MAX_KNOWN_AUTHORITIES } from "./constants.ts";
import { derInteger, wholeBytes } from "./der.ts";
import { nameHash, normalSerial } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { SIGNING } from "./keys.ts";
import type { RevokedEntry } from "./ledger.ts";
import { pemBlocks } from "./pem.ts";
import type { Issuer } from "./profiles.ts";

/** RFC 7468 section 6. */
export const CRL_LABEL = "X509 CRL";

/** id-ce-cRLNumber (RFC 5280 section 5.2.3). */
const CRL_NUMBER = "2.5.29.20";

/** A list of `issuer`, PEM. The number that has to grow from list to list is the time in milliseconds. */
export async function createRevocationList(
  issuer: Issuer,
  revoked: readonly RevokedEntry[],
  now: Date,
  lifetimeMs: number,
): Promise<string> {
  const list = await X509CrlGenerator.create({
    issuer: issuer.certificate.subjectName,
    thisUpdate: now,
    nextUpdate: new Date(now.getTime() + lifetimeMs),
    signingAlgorithm: SIGNING[issuer.key.type],
    signingKey: issuer.key.privateKey,
    entries: revoked.map((entry) => ({
      serialNumber: wholeBytes(entry.serial),
      revocationDate: new Date(entry.at),
      reason: X509CrlReason[entry.reason],
    })),
    extensions: [
      await AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
      new Extension(CRL_NUMBER, false, derInteger(now.getTime())),
    ],
  });
  return `${PemConverter.encode(list.rawData, CRL_LABEL)}\n`;
}

/**
 * Who is revoked by a set of lists: for sessions in progress when a list changes. Signatures are not verified here: the
 * TLS stack does so in every handshake, and a list is a local file that can only end sessions.
 */
export class RevocationIndex {
  /** By `Identity.issuer`: serial numbers. */
  readonly #serials = new Map<string, Set<string>>();
  /** CA certificates of chains by their SHA-256: whether they are revoked. Sessions share a few of them. */
  readonly #authorities = new Map<string, string | undefined>();

  /** Throws `ZG_TLS_MATERIAL` when a list in it cannot be read. `file` names it in errors. */
  constructor(file: string, crlPem: string) {
    try {
      for (const block of pemBlocks(file, crlPem, CRL_LABEL)) {
        const list = new X509Crl(PemConverter.decodeFirst(block));
        const issuer = nameHash(list.issuerName);
        const serials = this.#serials.get(issuer) ?? new Set();
        for (const entry of list.entries) serials.add(normalSerial(entry.serialNumber));
        this.#serials.set(issuer, serials);
      }
    } catch (error) {
      if (error instanceof ZgateError) throw error;
      const reason = `${file}: a revocation list in it cannot be read: ${messageOf(error)}`;
      throw new ZgateError("ZG_TLS_MATERIAL", reason, { cause: error });
    }
  }

  /** The serial number of the leaf, or of the first CA above it, that is revoked. `chainDer` is verified, leaf first. */
  revokedSerial(leaf: Identity, chainDer: readonly Uint8Array[]): string | undefined {
    if (this.#has(leaf.issuer, leaf.serial)) return leaf.serial;
    for (const der of chainDer.slice(1)) {
      const serial = this.#revokedAuthority(der);
      if (serial !== undefined) return serial;
    }
    return undefined;
  }

  #has(issuer: string, serial: string): boolean {
    return this.#serials.get(issuer)?.has(serial) === true;
  }

  #revokedAuthority(der: Uint8Array): string | undefined {
    const fingerprint = createHash("sha256").update(der).digest("base64");
    if (this.#authorities.has(fingerprint)) return this.#authorities.get(fingerprint);
    const { issuer, serial } = certificateId(der);
    const revoked = this.#has(issuer, serial) ? serial : undefined;
    if (this.#authorities.size < MAX_KNOWN_AUTHORITIES) this.#authorities.set(fingerprint, revoked);
    return revoked;
  }
}

function certificateId(der: Uint8Array): Pick<Identity, "issuer" | "serial"> {
  const certificate = new X509Certificate(new Uint8Array(der));
  return { issuer: nameHash(certificate.issuerName), serial: normalSerial(certificate.serialNumber) };
}
