/**
 * The four kinds of certificates: root, issuing CA, relay, client (RFC 5280 section 4.2, RFC 8446 section 4.4.2).
 * Pure: the time and the keys are arguments.
 */
import "reflect-metadata";
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import type { webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Extension, JsonGeneralNames, X509Certificate } from "@peculiar/x509";
import { isDnsName } from "../config/host-port.ts";
import { ZgateError } from "../errors.ts";
import { MAX_COMMON_NAME, MAX_SUBJECT_NAMES, NOT_BEFORE_SKEW_MS, SERIAL_BYTES } from "./constants.ts";
import { CLIENT_URI_PREFIX } from "./identity.ts";
import { SIGNING } from "./keys.ts";
import type { SigningKey } from "./keys.ts";

/** A certificate with the key that it certifies: what signs another. */
export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: SigningKey;
}

export interface Validity {
  readonly now: Date;
  readonly lifetimeMs: number;
}

/** A self-signed root that may have one issuing CA under it. */
export async function createRoot(name: string, key: SigningKey, validity: Validity): Promise<X509Certificate> {
  return await X509CertificateGenerator.createSelfSigned({
    name: commonName(name),
    keys: { privateKey: key.privateKey, publicKey: key.publicKey },
    signingAlgorithm: SIGNING[key.type],
    serialNumber: randomSerial(),
    ...period(validity),
    extensions: [
      new BasicConstraintsExtension(true, 1, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(key.publicKey),
      await AuthorityKeyIdentifierExtension.create(key.publicKey),
    ],
  });
}

/** A CA that issues leaves and no further CA. */
export async function createIssuing(
  name: string,
  publicKey: webcrypto.CryptoKey,
  issuer: Issuer,
  validity: Validity,
): Promise<X509Certificate> {
  return await signed(name, publicKey, issuer, validity, [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]);
}

/** A relay's certificate: `names` are the DNS names and IP addresses that agents connect to. */
export async function createRelay(
  names: readonly string[],
  publicKey: webcrypto.CryptoKey,
  issuer: Issuer,
  validity: Validity,
): Promise<X509Certificate> {
  const [first] = names;
  if (first === undefined || names.length > MAX_SUBJECT_NAMES) {
    throw new ZgateError("ZG_PKI_INVALID", `a relay has 1 to ${MAX_SUBJECT_NAMES} names, not ${names.length}`);
  }
  // The common name is not what is checked (RFC 9525 section 6), so a long host name need not fit in.
  const subject = first.length <= MAX_COMMON_NAME ? first : "zgate relay";
  return await signed(subject, publicKey, issuer, validity, [
    ...leafExtensions(ExtendedKeyUsage.serverAuth),
    new SubjectAlternativeNameExtension(names.map(hostName)),
  ]);
}

/** A client's certificate: its name stands in the URI and in the common name. */
export async function createClient(
  name: string,
  publicKey: webcrypto.CryptoKey,
  issuer: Issuer,
  validity: Validity,
): Promise<X509Certificate> {
  if (!isClientName(name)) {
    throw new ZgateError(
      "ZG_PKI_INVALID",
      `${JSON.stringify(name)} cannot be a client's name: 1 to ${MAX_COMMON_NAME} letters, digits, and . _ @ + - after the first`,
    );
  }
  return await signed(name, publicKey, issuer, validity, [
    ...leafExtensions(ExtendedKeyUsage.clientAuth),
    new SubjectAlternativeNameExtension([{ type: "url", value: CLIENT_URI_PREFIX + name }]),
  ]);
}

/** A name that we issue. It also names files, so that it can hold no path. */
export function isClientName(name: string): boolean {
  return name.length <= MAX_COMMON_NAME && /^[A-Za-z0-9][A-Za-z0-9._@+-]*$/.test(name);
}

async function signed(
  name: string,
  publicKey: webcrypto.CryptoKey,
  issuer: Issuer,
  validity: Validity,
  extensions: readonly Extension[],
): Promise<X509Certificate> {
  const { notBefore, notAfter } = period(validity);
  const issuerEnds = issuer.certificate.notAfter;
  if (issuerEnds <= validity.now) {
    throw new ZgateError(
      "ZG_PKI_INVALID",
      `the CA ${issuer.certificate.subject} has expired on ${issuerEnds.toISOString()}`,
    );
  }
  return await X509CertificateGenerator.create({
    subject: commonName(name),
    issuer: issuer.certificate.subjectName,
    publicKey,
    signingKey: issuer.key.privateKey,
    signingAlgorithm: SIGNING[issuer.key.type],
    serialNumber: randomSerial(),
    notBefore,
    // No certificate outlives the one that signed it: a chain ends with its first expiry anyway.
    notAfter: notAfter < issuerEnds ? notAfter : issuerEnds,
    extensions: [
      ...extensions,
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
    ],
  });
}

/** TLS 1.3 only signs with the key, so no key encipherment. */
function leafExtensions(purpose: ExtendedKeyUsage): readonly Extension[] {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([purpose]),
  ];
}

function hostName(name: string): JsonGeneralNames[number] {
  if (isIP(name) !== 0) return { type: "ip", value: name };
  const withoutWildcard = name.startsWith("*.") ? name.slice(2) : name;
  if (isDnsName(withoutWildcard)) return { type: "dns", value: name.toLowerCase() };
  throw new ZgateError("ZG_PKI_INVALID", `${JSON.stringify(name)} is neither a DNS name nor an IP address`);
}

function commonName(name: string): { CN: string[] }[] {
  return [{ CN: [name] }];
}

/** Whole seconds: certificates hold no fractions. */
function period(validity: Validity): { notBefore: Date; notAfter: Date } {
  const now = Math.floor(validity.now.getTime() / 1000) * 1000;
  return { notBefore: new Date(now - NOT_BEFORE_SKEW_MS), notAfter: new Date(now + validity.lifetimeMs) };
}

/** Positive, and of its full length in DER: the first byte is neither 0 nor has its highest bit set. */
function randomSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}
