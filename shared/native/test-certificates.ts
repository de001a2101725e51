/** Certificates for the tests of this folder: a CA, leaves under it or under an intermediate, a revocation list. */
import "reflect-metadata";
import { randomBytes } from "node:crypto";
import type { webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from "@peculiar/x509";
import type { X509Certificate } from "@peculiar/x509";
import type { KeyExchange, TlsMaterial } from "./quic.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** id-ce-cRLNumber (RFC 5280 section 5.2.3). */
const CRL_NUMBER = "2.5.29.20";
const DAY_MS = 24 * 60 * 60 * 1000;
/** The name in every leaf of these tests, beside its common name. */
const EVERY_LEAF = "localhost";

export interface LeafOptions {
  readonly expired?: boolean;
}

export class TestAuthority {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly #keys: webcrypto.CryptoKeyPair;
  /** This authority and those above it, without the root: what a leaf is sent with. */
  readonly #above: string;

  private constructor(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair, above: string) {
    this.certificate = certificate;
    this.pem = `${certificate.toString("pem")}\n`;
    this.#keys = keys;
    this.#above = above;
  }

  static async root(name: string): Promise<TestAuthority> {
    const keys = await generateKeys();
    return new TestAuthority(await sign(name, keys, name, keys, caExtensions(), false), keys, "");
  }

  async intermediate(name: string): Promise<TestAuthority> {
    const keys = await generateKeys();
    const certificate = await sign(name, keys, this.certificate.subject, this.#keys, caExtensions(), false);
    return new TestAuthority(certificate, keys, `${certificate.toString("pem")}\n${this.#above}`);
  }

  /** A leaf `CN=name` for both sides of TLS, valid for the DNS names `name` and `localhost` and for 127.0.0.1. */
  async leaf(name: string, options: LeafOptions = {}): Promise<Leaf> {
    const keys = await generateKeys();
    const extensions = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([
        { type: "dns", value: name },
        { type: "dns", value: EVERY_LEAF },
        { type: "ip", value: "127.0.0.1" },
      ]),
    ];
    const issuer = this.certificate.subject;
    const certificate = await sign(name, keys, issuer, this.#keys, extensions, options.expired === true);
    const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
    return {
      certificate,
      certificatePem: `${certificate.toString("pem")}\n${this.#above}`,
      privateKeyPem: PemConverter.encode(pkcs8, "PRIVATE KEY"),
    };
  }

  async revocationList(revoked: readonly Leaf[]): Promise<string> {
    const list = await X509CrlGenerator.create({
      issuer: this.certificate.subject,
      thisUpdate: new Date(Date.now() - DAY_MS),
      nextUpdate: new Date(Date.now() + DAY_MS),
      entries: revoked.map((leaf) => ({ serialNumber: leaf.certificate.serialNumber, revocationDate: new Date() })),
      signingAlgorithm: ALGORITHM,
      signingKey: this.#keys.privateKey,
      // Both are required of a list (RFC 5280 sections 5.2.1 and 5.2.3), and rustls insists.
      extensions: [
        await AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
        new Extension(CRL_NUMBER, false, Uint8Array.of(2, 1, 1)),
      ],
    });
    return `${PemConverter.encode(list.rawData, "X509 CRL")}\n`;
  }
}

export interface Leaf {
  readonly certificate: X509Certificate;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** `leaf` shown, peers under `authority` trusted. */
export function material(leaf: Leaf, authority: TestAuthority, keyExchange: KeyExchange = "prefer-pq"): TlsMaterial {
  const { certificatePem, privateKeyPem } = leaf;
  return { certificatePem, privateKeyPem, caPem: authority.pem, keyExchange };
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function caExtensions(): Extension[] {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
}

async function sign(
  name: string,
  keys: webcrypto.CryptoKeyPair,
  issuer: string,
  issuerKeys: webcrypto.CryptoKeyPair,
  extensions: Extension[],
  expired: boolean,
): Promise<X509Certificate> {
  const now = Date.now();
  return await X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString("hex"),
    subject: name.startsWith("CN=") ? name : `CN=${name}`,
    issuer: issuer.startsWith("CN=") ? issuer : `CN=${issuer}`,
    notBefore: new Date(now - 2 * DAY_MS),
    notAfter: new Date(expired ? now - DAY_MS : now + DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: issuerKeys.privateKey,
    extensions,
  });
}
