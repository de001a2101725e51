/** Leaves of an authority: a new one, and the renewal of one that is there. */
import "reflect-metadata";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { webcrypto } from "node:crypto";
import { ExtendedKeyUsage, ExtendedKeyUsageExtension, SubjectAlternativeNameExtension } from "@peculiar/x509";
import type { X509Certificate } from "@peculiar/x509";
import { ZgateError } from "../errors.ts";
import { appendToLedger, certificatePem, openIssuingCa, readCertificate, readLedger } from "./authority.ts";
import { CLIENT_LIFETIME_MS, NOT_BEFORE_SKEW_MS, RELAY_LIFETIME_MS } from "./constants.ts";
import { clientIdentity, normalSerial } from "./identity.ts";
import { generateKey, privateKeyPem } from "./keys.ts";
import type { KeyType } from "./keys.ts";
import type { IssuedEntry } from "./ledger.ts";
import { createFiles, PRIVATE_MODE, PUBLIC_MODE, refuseExisting, replaceFile } from "./new-file.ts";
import { createClient, createRelay, isClientName } from "./profiles.ts";
import type { Issuer } from "./profiles.ts";

export type LeafKind = "relay" | "client";

export interface IssueOptions {
  readonly folder: string;
  readonly kind: LeafKind;
  /** The client's name; for a relay the name of its files, and a subject name when there are no others. */
  readonly name: string;
  /** A relay's DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly keyType: KeyType;
  /** Default: 90 days for a relay, 24 hours for a client. */
  readonly lifetimeMs?: number;
  /** Of the issuing CA's key. */
  readonly passphrase?: string;
  readonly now: Date;
}

export interface Issued {
  readonly certificate: X509Certificate;
  readonly certificatePath: string;
  readonly keyPath: string;
}

/** Makes a key and a certificate for it. Throws `ZG_FILE_EXISTS`, `ZG_PKI_INVALID`, `ZG_FILE_UNREADABLE`. */
export async function issueLeaf(options: IssueOptions): Promise<Issued> {
  const { folder, kind, name } = options;
  const { certificatePath, keyPath } = leafPaths(folder, name);
  await refuseExisting([keyPath, certificatePath]);
  const issuer = await openIssuingCa(folder, options.passphrase);
  const key = await generateKey(options.keyType);
  const names = options.names.length > 0 ? options.names : [name];
  const lifetimeMs = options.lifetimeMs ?? (kind === "relay" ? RELAY_LIFETIME_MS : CLIENT_LIFETIME_MS);
  const request = { kind, name, names, publicKey: key.publicKey, lifetimeMs, now: options.now };
  const certificate = await signLeaf(folder, issuer, request);
  await createFiles([
    { path: keyPath, text: await privateKeyPem(key), mode: PRIVATE_MODE },
    { path: certificatePath, text: chainPem(certificate, issuer), mode: PUBLIC_MODE },
  ]);
  return { certificate, certificatePath, keyPath };
}

export interface RenewOptions {
  readonly folder: string;
  /** The files' name: `NAME.pem`, `NAME-key.pem`. */
  readonly name: string;
  readonly keyType: KeyType;
  /** Default: as long as the old one lived. */
  readonly lifetimeMs?: number;
  readonly passphrase?: string;
  readonly now: Date;
}

/**
 * A new key and certificate of the same kind and names in the place of the old ones. An expired certificate may be
 * renewed, a revoked one not.
 */
export async function renewLeaf(options: RenewOptions): Promise<Issued> {
  const { folder, name, now } = options;
  const { certificatePath, keyPath } = leafPaths(folder, name);
  const old = await readCertificate(certificatePath);
  const issuer = await openIssuingCa(folder, options.passphrase);
  if (!(await old.verify({ publicKey: issuer.certificate.publicKey, signatureOnly: true }))) {
    throw new ZgateError("ZG_PKI_INVALID", `${certificatePath}: the certificate is not of the issuing CA in ${folder}`);
  }
  const serial = normalSerial(old.serialNumber);
  if ((await readLedger(folder)).revoked.has(serial)) {
    throw new ZgateError("ZG_PKI_INVALID", `${certificatePath}: the certificate is revoked; issue another one`);
  }
  const key = await generateKey(options.keyType);
  const lifetimeMs = options.lifetimeMs ?? lifetimeOf(old);
  const subject = subjectOf(certificatePath, old);
  const certificate = await signLeaf(folder, issuer, { ...subject, publicKey: key.publicKey, lifetimeMs, now });
  // Two files cannot change in one step: a program that follows them refuses the pair until both are new.
  await replaceFile({ path: keyPath, text: await privateKeyPem(key), mode: PRIVATE_MODE });
  await replaceFile({ path: certificatePath, text: chainPem(certificate, issuer), mode: PUBLIC_MODE });
  return { certificate, certificatePath, keyPath };
}

export interface LeafRequest {
  readonly kind: LeafKind;
  readonly name: string;
  /** A relay's; unused for a client. */
  readonly names: readonly string[];
  readonly publicKey: webcrypto.CryptoKey;
  readonly lifetimeMs: number;
  /** Serial number of the certificate whose holder asks for this one. */
  readonly renews?: string;
  readonly now: Date;
}

/** Signs, and enters into the ledger before anybody gets the certificate: none goes about that cannot be revoked. */
export async function signLeaf(folder: string, issuer: Issuer, request: LeafRequest): Promise<X509Certificate> {
  const { kind, name, names, publicKey, now, lifetimeMs } = request;
  const certificate =
    kind === "relay"
      ? await createRelay(names, publicKey, issuer, { now, lifetimeMs })
      : await createClient(name, publicKey, issuer, { now, lifetimeMs });
  const entry = entryOf(kind, name, certificate);
  await appendToLedger(folder, [request.renews === undefined ? entry : { ...entry, renews: request.renews }]);
  return certificate;
}

/** The leaf and the CA certificates that a peer needs to reach its trust anchor, leaf first. */
export function chainPem(leaf: X509Certificate, issuer: Issuer): string {
  return certificatePem(leaf) + certificatePem(issuer.certificate);
}

function leafPaths(folder: string, name: string): { certificatePath: string; keyPath: string } {
  if (!isClientName(name)) {
    const expected = "letters, digits, and . _ @ + - after the first, at most 64 in all";
    throw new ZgateError("ZG_PKI_INVALID", `${JSON.stringify(name)} cannot name a certificate: ${expected}`);
  }
  return { certificatePath: join(folder, `${name}.pem`), keyPath: join(folder, `${name}-key.pem`) };
}

function entryOf(kind: LeafKind, name: string, certificate: X509Certificate): IssuedEntry {
  return {
    type: "issued",
    serial: normalSerial(certificate.serialNumber),
    kind,
    name,
    fingerprint256: createHash("sha256").update(new Uint8Array(certificate.rawData)).digest("hex"),
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
  };
}

function lifetimeOf(certificate: X509Certificate): number {
  return certificate.notAfter.getTime() - certificate.notBefore.getTime() - NOT_BEFORE_SKEW_MS;
}

function subjectOf(path: string, certificate: X509Certificate): Pick<LeafRequest, "kind" | "name" | "names"> {
  const usages = certificate.getExtension(ExtendedKeyUsageExtension)?.usages ?? [];
  if (usages.includes(ExtendedKeyUsage.clientAuth)) {
    return { kind: "client", name: clientIdentity(new Uint8Array(certificate.rawData)).name, names: [] };
  }
  if (!usages.includes(ExtendedKeyUsage.serverAuth)) {
    throw new ZgateError("ZG_PKI_INVALID", `${path}: the certificate is neither a client's nor a relay's`);
  }
  const items = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const names = items.filter((item) => item.type === "dns" || item.type === "ip").map((item) => item.value);
  return { kind: "relay", name: names[0] ?? "relay", names };
}
