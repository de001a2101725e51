/**
 * Certificate revocation lists (RFC 5280 section 5), written and read without a library: what we have for it takes the
 * square of the number of entries to write, and stops reading at some thousands of them. Pure.
 */
import "reflect-metadata";
import { KeyObject, sign } from "node:crypto";
import { AuthorityKeyIdentifierExtension } from "@peculiar/x509";
import { messageOf, ZgateError } from "../errors.ts";
import { certificateParts, der, derInteger, derObjectId, DerReader, derSequence, derTime, TAG, timeOf } from "./der.ts";
import { unixMs } from "../units.ts";
import type { UnixMs } from "../units.ts";
import { normalSerial } from "./identity.ts";
import type { KeyType } from "./keys.ts";
import type { RevocationReason, RevokedEntry } from "./ledger.ts";
import { pemBlocks, pemBytes, pemOf } from "./pem.ts";
import type { Issuer } from "./profiles.ts";

/** RFC 7468 section 6. */
export const CRL_LABEL = "X509 CRL";

const OID = {
  authorityKeyIdentifier: "551d23",
  crlNumber: "551d14",
  reasonCode: "551d15",
} as const;

/** AlgorithmIdentifier of a signature: ecdsa-with-SHA256 (RFC 5758), id-Ed25519 (RFC 8410). */
const SIGNATURE: Readonly<Record<KeyType, { readonly oid: string; readonly hash: string | null }>> = {
  p256: { oid: "2a8648ce3d040302", hash: "sha256" },
  ed25519: { oid: "2b6570", hash: null },
};

/** CRLReason (RFC 5280 section 5.3.1). */
const REASON_CODE: Readonly<Record<RevocationReason, number>> = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
};

/** A list of `issuer`, PEM. The number that has to grow from list to list is the time in milliseconds. */
export async function createRevocationList(
  issuer: Issuer,
  revoked: readonly RevokedEntry[],
  now: Date,
  lifetimeMs: number,
): Promise<string> {
  const { oid, hash } = SIGNATURE[issuer.key.type];
  const algorithm = derSequence(derObjectId(oid));
  const authorityKey = await AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey);
  const extensions = derSequence(
    extension(OID.authorityKeyIdentifier, new Uint8Array(authorityKey.value)),
    extension(OID.crlNumber, derInteger(now.getTime().toString(16))),
  );
  const list = derSequence(
    derInteger("01"),
    algorithm,
    certificateParts(new Uint8Array(issuer.certificate.rawData)).subject,
    derTime(now),
    derTime(new Date(now.getTime() + lifetimeMs)),
    // An empty list of entries is left out.
    ...(revoked.length > 0 ? [derSequence(...revoked.map(entryOf))] : []),
    der(TAG.context0, extensions),
  );
  const signature = sign(hash, list, KeyObject.from(issuer.key.privateKey));
  const unusedBits = Uint8Array.of(0);
  const signed = derSequence(list, algorithm, der(TAG.bitString, Buffer.concat([unusedBits, signature])));
  return pemOf(CRL_LABEL, signed);
}

function entryOf(entry: RevokedEntry): Uint8Array {
  const code = REASON_CODE[entry.reason];
  const reason = extension(OID.reasonCode, der(TAG.enumerated, Uint8Array.of(code)));
  // "unspecified" is said by leaving the reason out.
  return derSequence(
    derInteger(entry.serial),
    derTime(new Date(entry.at)),
    ...(code === 0 ? [] : [derSequence(reason)]),
  );
}

/** Not critical. */
function extension(oid: string, value: Uint8Array): Uint8Array {
  return derSequence(derObjectId(oid), der(TAG.octetString, value));
}

export interface RevokedSerials {
  /** The issuer's name in DER. */
  readonly issuer: Uint8Array;
  /** As `Identity.serial`. */
  readonly serials: ReadonlySet<string>;
  /** When the next list should have come at the latest; undefined when the list does not say. */
  readonly nextUpdate: UnixMs | undefined;
}

/** What each list of a PEM file revokes. `file` names it in errors. Throws `ZG_TLS_MATERIAL`. */
export function readRevocationLists(file: string, pem: string): readonly RevokedSerials[] {
  return pemBlocks(file, pem, CRL_LABEL).map((block) => {
    try {
      return revokedBy(pemBytes(block));
    } catch (error) {
      const reason = `${file}: a revocation list in it cannot be read: ${messageOf(error)}`;
      throw new ZgateError("ZG_TLS_MATERIAL", reason, { cause: error });
    }
  });
}

/** The fields of TBSCertList in their order. Signature and extensions are the TLS stack's to look at. */
function revokedBy(list: Uint8Array): RevokedSerials {
  const fields = new DerReader(list).enter(TAG.sequence).enter(TAG.sequence);
  if (fields.nextTag === TAG.integer) fields.skip();
  fields.skip();
  const issuer = fields.whole(TAG.sequence);
  fields.skip();
  const tag = fields.nextTag;
  const dated = tag === TAG.utcTime || tag === TAG.generalizedTime;
  const nextUpdate = dated ? unixMs(timeOf(tag, fields.content(tag))) : undefined;
  const serials = new Set<string>();
  if (fields.nextTag === TAG.sequence) {
    const entries = fields.enter(TAG.sequence);
    while (!entries.atEnd) {
      const serial = entries.enter(TAG.sequence).content(TAG.integer);
      serials.add(normalSerial(Buffer.from(serial).toString("hex")));
    }
  }
  return { issuer, serials, nextUpdate };
}
