/** What a certificate says, for people and for scripts. Pure. */
import "reflect-metadata";
import { createHash } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
} from "@peculiar/x509";
import type { X509Certificate } from "@peculiar/x509";
import { normalSerial } from "./identity.ts";

export interface CertificateDescription {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly key: string;
  readonly signature: string;
  /** `CA`, `relay` (serverAuth), `client` (clientAuth), or several. */
  readonly purposes: readonly string[];
  /** Subject alternative names as `dns:relay.example`. */
  readonly names: readonly string[];
  readonly subjectKey: string | undefined;
  readonly authorityKey: string | undefined;
  readonly fingerprint256: string;
}

export function describeCertificate(certificate: X509Certificate): CertificateDescription {
  const usages = certificate.getExtension(ExtendedKeyUsageExtension)?.usages ?? [];
  const purposes = [
    ...(certificate.getExtension(BasicConstraintsExtension)?.ca === true ? ["CA"] : []),
    ...(usages.includes(ExtendedKeyUsage.serverAuth) ? ["relay"] : []),
    ...(usages.includes(ExtendedKeyUsage.clientAuth) ? ["client"] : []),
  ];
  const items = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  return {
    subject: certificate.subject,
    issuer: certificate.issuer,
    serial: normalSerial(certificate.serialNumber),
    notBefore: certificate.notBefore.toISOString(),
    notAfter: certificate.notAfter.toISOString(),
    key: algorithmName(certificate.publicKey.algorithm),
    signature: algorithmName({ name: "", ...certificate.signatureAlgorithm }),
    purposes,
    names: items.map((item) => `${item.type === "url" ? "uri" : item.type}:${item.value}`),
    subjectKey: certificate.getExtension(SubjectKeyIdentifierExtension)?.keyId,
    authorityKey: certificate.getExtension(AuthorityKeyIdentifierExtension)?.keyId,
    fingerprint256: createHash("sha256").update(new Uint8Array(certificate.rawData)).digest("hex"),
  };
}

function algorithmName(algorithm: { name: string; namedCurve?: string; hash?: { name: string } }): string {
  const detail = algorithm.namedCurve ?? algorithm.hash?.name;
  return detail === undefined ? algorithm.name : `${algorithm.name} ${detail}`;
}
