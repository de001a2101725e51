/** Key pairs and their PEM: WebCrypto keys for signing, PKCS #8 files (RFC 5958) on disk. */
import { createPrivateKey, createPublicKey, webcrypto } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { messageOf, ZgateError } from "../errors.ts";
import { encryptPrivateKey } from "./encrypted-key.ts";

export const KEY_TYPES = ["p256", "ed25519"] as const;
export type KeyType = (typeof KEY_TYPES)[number];

const GENERATION = {
  p256: { name: "ECDSA", namedCurve: "P-256" },
  ed25519: { name: "Ed25519" },
} as const satisfies Record<KeyType, object>;

/** What WebCrypto and `@peculiar/x509` take to sign with a key of the type. */
export const SIGNING = {
  p256: { name: "ECDSA", hash: "SHA-256" },
  ed25519: { name: "Ed25519" },
} as const satisfies Record<KeyType, object>;

export interface SigningKey {
  readonly type: KeyType;
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicKey: webcrypto.CryptoKey;
}

export async function generateKey(type: KeyType): Promise<SigningKey> {
  const pair = await webcrypto.subtle.generateKey(GENERATION[type], true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new TypeError("a signing algorithm makes key pairs");
  return { type, privateKey: pair.privateKey, publicKey: pair.publicKey };
}

/** PKCS #8 PEM, encrypted when there is a passphrase. */
export async function privateKeyPem(key: SigningKey, passphrase?: string): Promise<string> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key.privateKey));
  if (passphrase !== undefined) return await encryptPrivateKey(pkcs8, passphrase);
  return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}

/** Reads a PEM key for signing. `file` names it in errors. Throws `ZG_PKI_INVALID`. */
export async function signingKeyOf(file: string, pem: string, passphrase?: string): Promise<SigningKey> {
  const object = privateKeyOf(file, pem, passphrase);
  const type = typeOf(object);
  if (type === undefined) {
    throw new ZgateError("ZG_PKI_INVALID", `${file}: the key is neither P-256 nor Ed25519`);
  }
  const spki = createPublicKey(object).export({ format: "der", type: "spki" });
  const pkcs8 = object.export({ format: "der", type: "pkcs8" });
  return {
    type,
    privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, GENERATION[type], true, ["sign"]),
    publicKey: await webcrypto.subtle.importKey("spki", spki, GENERATION[type], true, ["verify"]),
  };
}

/** Throws `ZG_PKI_INVALID` with what is wrong: not a key, encrypted, the wrong passphrase. */
export function privateKeyOf(file: string, pem: string, passphrase?: string): KeyObject {
  const encrypted = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(pem);
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new ZgateError("ZG_PKI_INVALID", `${file}: there is no PEM block of a private key in it`);
  }
  if (encrypted && passphrase === undefined) {
    throw new ZgateError("ZG_PKI_INVALID", `${file}: the key is encrypted; a passphrase is needed`);
  }
  try {
    return createPrivateKey(passphrase === undefined ? { key: pem } : { key: pem, passphrase });
  } catch (error) {
    const reason = encrypted
      ? "the passphrase is wrong, or the key is damaged"
      : `the key cannot be read: ${messageOf(error)}`;
    throw new ZgateError("ZG_PKI_INVALID", `${file}: ${reason}`, { cause: error });
  }
}

function typeOf(key: KeyObject): KeyType | undefined {
  if (key.asymmetricKeyType === "ed25519") return "ed25519";
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return key.asymmetricKeyType === "ec" && curve === "prime256v1" ? "p256" : undefined;
}
