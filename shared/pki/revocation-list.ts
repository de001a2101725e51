/** Certificate revocation lists (RFC 5280 section 5): made for our own CAs, read of any. Pure. */
import "reflect-metadata";
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
import { derInteger } from "./der.ts";
import { normalSerial } from "./identity.ts";
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
      serialNumber: evenLength(entry.serial),
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
  /** Issuer name in DER, hexadecimal → serial numbers. */
  readonly #serials = new Map<string, Set<string>>();

  /** Throws `ZG_TLS_MATERIAL` when a list in it cannot be read. `file` names it in errors. */
  constructor(file: string, crlPem: string) {
    try {
      for (const block of pemBlocks(file, crlPem, CRL_LABEL)) {
        const list = new X509Crl(PemConverter.decodeFirst(block));
        const issuer = Buffer.from(list.issuerName.toArrayBuffer()).toString("hex");
        const serials = this.#serials.get(issuer) ?? new Set();
        for (const entry of list.entries) serials.add(normalSerial(entry.serialNumber));
        this.#serials.set(issuer, serials);
      }
    } catch (error) {
      if (error instanceof ZgateError) throw error;
      throw new ZgateError("ZG_TLS_MATERIAL", `${file}: a revocation list in it cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** The serial number of the first certificate of a verified chain that is revoked, leaf first. */
  revokedSerial(chainDer: readonly Uint8Array[]): string | undefined {
    for (const der of chainDer) {
      const certificate = new X509Certificate(new Uint8Array(der));
      const issuer = Buffer.from(certificate.issuerName.toArrayBuffer()).toString("hex");
      const serial = normalSerial(certificate.serialNumber);
      if (this.#serials.get(issuer)?.has(serial) === true) return serial;
    }
    return undefined;
  }
}

function evenLength(hexadecimal: string): string {
  return hexadecimal.length % 2 === 0 ? hexadecimal : `0${hexadecimal}`;
}
