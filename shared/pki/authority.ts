/**
 * The certificate authority in a folder:
 *
 *   ca.pem, ca-key.pem                    the root, the one trust anchor of relays and agents
 *   issuing-ca.pem, issuing-ca-key.pem    the CA under it that signs leaves
 *   NAME.pem, NAME-key.pem                a leaf, the issuing CA after it, and its key
 *
 * In a folder without an issuing CA the root signs leaves itself.
 */
import "reflect-metadata";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { X509Certificate } from "@peculiar/x509";
import { messageOf, ZgateError } from "../errors.ts";
import { readTextFile } from "../yaml/file.ts";
import {
  CLIENT_LIFETIME_MS,
  ISSUING_LIFETIME_MS,
  MAX_PEM_BYTES,
  RELAY_LIFETIME_MS,
  ROOT_LIFETIME_MS,
} from "./constants.ts";
import { generateKey, privateKeyPem, signingKeyOf } from "./keys.ts";
import type { KeyType } from "./keys.ts";
import { createFiles, PRIVATE_MODE, PUBLIC_MODE } from "./new-file.ts";
import { createClient, createIssuing, createRelay, createRoot, isClientName } from "./profiles.ts";
import type { Issuer } from "./profiles.ts";

export interface InitOptions {
  readonly folder: string;
  /** Stands in the names of the CAs: `zgate root CA (NAME)`. */
  readonly name: string;
  readonly keyType: KeyType;
  /** Encrypts the CA keys. */
  readonly passphrase?: string;
  readonly now: Date;
}

/** Makes a root and an issuing CA under it. Returns the paths that were written. */
export async function initAuthority(options: InitOptions): Promise<readonly string[]> {
  const { folder, name, keyType, passphrase, now } = options;
  await mkdir(folder, { recursive: true });
  const rootKey = await generateKey(keyType);
  const issuingKey = await generateKey(keyType);
  const root = await createRoot(`zgate root CA (${name})`, rootKey, { now, lifetimeMs: ROOT_LIFETIME_MS });
  const issuing = await createIssuing(
    `zgate issuing CA (${name})`,
    issuingKey.publicKey,
    { certificate: root, key: rootKey },
    { now, lifetimeMs: ISSUING_LIFETIME_MS },
  );
  const files = [
    { path: join(folder, "ca-key.pem"), text: await privateKeyPem(rootKey, passphrase), mode: PRIVATE_MODE },
    { path: join(folder, "ca.pem"), text: pemOf(root), mode: PUBLIC_MODE },
    { path: join(folder, "issuing-ca-key.pem"), text: await privateKeyPem(issuingKey, passphrase), mode: PRIVATE_MODE },
    { path: join(folder, "issuing-ca.pem"), text: pemOf(issuing), mode: PUBLIC_MODE },
  ];
  await createFiles(files);
  return files.map((file) => file.path);
}

export interface IssueOptions {
  readonly folder: string;
  readonly kind: "relay" | "client";
  /** The client's name; for a relay the name of its files, and a subject name when there are no others. */
  readonly name: string;
  /** A relay's DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly keyType: KeyType;
  /** Default: 90 days for a relay, 24 hours for a client. */
  readonly lifetimeMs?: number;
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
  if (!isClientName(name)) {
    throw new ZgateError(
      "ZG_PKI_INVALID",
      `${JSON.stringify(name)} cannot name a certificate: letters, digits, and . _ @ + - after the first`,
    );
  }
  const issuer = await openIssuer(folder, options.passphrase);
  const key = await generateKey(options.keyType);
  const defaultLifetime = kind === "relay" ? RELAY_LIFETIME_MS : CLIENT_LIFETIME_MS;
  const validity = { now: options.now, lifetimeMs: options.lifetimeMs ?? defaultLifetime };
  const names = options.names.length > 0 ? options.names : [name];
  const certificate =
    kind === "relay"
      ? await createRelay(names, key.publicKey, issuer, validity)
      : await createClient(name, key.publicKey, issuer, validity);
  const certificatePath = join(folder, `${name}.pem`);
  const keyPath = join(folder, `${name}-key.pem`);
  await createFiles([
    { path: keyPath, text: await privateKeyPem(key), mode: PRIVATE_MODE },
    { path: certificatePath, text: pemOf(certificate) + issuer.chainPem, mode: PUBLIC_MODE },
  ]);
  return { certificate, certificatePath, keyPath };
}

/** What signs leaves, with the PEM of the certificates that have to follow a leaf. */
export interface LeafIssuer extends Issuer {
  readonly chainPem: string;
}

/** The issuing CA of a folder, or its root. Throws when its certificate and key do not belong together. */
export async function openIssuer(folder: string, passphrase?: string): Promise<LeafIssuer> {
  const issuingPem = await readIfThere(join(folder, "issuing-ca.pem"));
  const name = issuingPem === undefined ? "ca" : "issuing-ca";
  const certificatePath = join(folder, `${name}.pem`);
  const keyPath = join(folder, `${name}-key.pem`);
  const certificatePem = issuingPem ?? (await readTextFile(certificatePath, MAX_PEM_BYTES));
  const certificate = certificateOf(certificatePath, certificatePem);
  const key = await signingKeyOf(keyPath, await readTextFile(keyPath, MAX_PEM_BYTES), passphrase);
  return { certificate, key, chainPem: issuingPem === undefined ? "" : pemOf(certificate) };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readTextFile(path, MAX_PEM_BYTES);
  } catch (error) {
    if (error instanceof ZgateError && isMissing(error.cause)) return undefined;
    throw error;
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

function certificateOf(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new ZgateError("ZG_PKI_INVALID", `${path}: there is no certificate in it: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
