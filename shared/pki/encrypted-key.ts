/**
 * Encrypted private keys: PKCS #8 DER → EncryptedPrivateKeyInfo PEM (RFC 5958 section 3) with PBES2 (RFC 8018 section
 * 6.2): PBKDF2-HMAC-SHA-256 and AES-256-CBC. Node.js writes the same with 2,048 iterations, which is no obstacle today;
 * it reads any number of them, and so does OpenSSL.
 */
import { createCipheriv, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { PBKDF2_ITERATIONS } from "./constants.ts";
import { der, derInteger, derObjectId, derSequence, TAG } from "./der.ts";
import { pemOf } from "./pem.ts";

const derive = promisify(pbkdf2);

const OID = {
  pbes2: "2a864886f70d01050d",
  pbkdf2: "2a864886f70d01050c",
  hmacWithSha256: "2a864886f70d0209",
  aes256Cbc: "60864801650304012a",
} as const;

const SALT_BYTES = 16;
const AES_KEY_BYTES = 32;
const AES_BLOCK_BYTES = 16;

export async function encryptPrivateKey(pkcs8: Uint8Array, passphrase: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(AES_BLOCK_BYTES);
  const key = await derive(passphrase, salt, PBKDF2_ITERATIONS, AES_KEY_BYTES, "sha256");
  const cipher = createCipheriv("aes-256-cbc", key, iv);
  const encrypted = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  const derivation = derSequence(
    derObjectId(OID.pbkdf2),
    derSequence(
      der(TAG.octetString, salt),
      derInteger(PBKDF2_ITERATIONS.toString(16)),
      derSequence(derObjectId(OID.hmacWithSha256), der(TAG.null, Buffer.alloc(0))),
    ),
  );
  const encryption = derSequence(derObjectId(OID.aes256Cbc), der(TAG.octetString, iv));
  const algorithm = derSequence(derObjectId(OID.pbes2), derSequence(derivation, encryption));
  return pemOf("ENCRYPTED PRIVATE KEY", derSequence(algorithm, der(TAG.octetString, encrypted)));
}
