/**
 * Certificate requests (PKCS #10, RFC 2986). Only the public key of one counts, and the proof that its sender has the
 * private key: the name comes from the token or from the certificate that is renewed.
 */
import "reflect-metadata";
import type { webcrypto } from "node:crypto";
import { Pkcs10CertificateRequest, Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { messageOf, ZgateError } from "../errors.ts";
import { MAX_REQUEST_BYTES } from "./constants.ts";
import { SIGNING } from "./keys.ts";
import type { SigningKey } from "./keys.ts";

/** PEM. */
export async function createRequest(name: string, key: SigningKey): Promise<string> {
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys: { privateKey: key.privateKey, publicKey: key.publicKey },
    signingAlgorithm: SIGNING[key.type],
  });
  return `${request.toString("pem")}\n`;
}

/** The key of a request that its sender has proved to hold. Throws `ZG_PKI_INVALID`. */
export async function publicKeyOfRequest(pem: string): Promise<webcrypto.CryptoKey> {
  if (pem.length > MAX_REQUEST_BYTES) throw refusal(`it has more than ${MAX_REQUEST_BYTES} characters`);
  let key: webcrypto.CryptoKey;
  let proved: boolean;
  try {
    const request = new Pkcs10CertificateRequest(pem);
    proved = await request.verify();
    key = await request.publicKey.export();
  } catch (error) {
    throw refusal(messageOf(error), error);
  }
  if (!proved) throw refusal("its signature is not that of its key");
  if (!isAccepted(key.algorithm)) throw refusal(`its key is ${key.algorithm.name}; P-256 and Ed25519 are accepted`);
  return key;
}

function isAccepted(algorithm: webcrypto.KeyAlgorithm): boolean {
  if (algorithm.name === "Ed25519") return true;
  return algorithm.name === "ECDSA" && "namedCurve" in algorithm && algorithm.namedCurve === "P-256";
}

function refusal(reason: string, cause?: unknown): ZgateError {
  return new ZgateError("ZG_PKI_INVALID", `the certificate request cannot be used: ${reason}`, { cause });
}
