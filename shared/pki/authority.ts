/**
 * The certificate authority in a folder:
 *
 *   ca.pem, ca-key.pem                    the root, the one trust anchor of relays and agents
 *   issuing-ca.pem, issuing-ca-key.pem    the CA under it that signs leaves
 *   crl.pem                               the revocation lists of both
 *   ledger.jsonl                          every certificate that was signed, every revocation
 *   NAME.pem, NAME-key.pem                a leaf, the issuing CA after it, and its key
 *
 * The root's key may be taken away and kept offline: leaves and their revocation need the issuing CA's alone.
 */
import "reflect-metadata";
import { constants, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { X509Certificate } from "@peculiar/x509";
import { messageOf, ZgateError } from "../errors.ts";
import { readTextFile } from "../yaml/file.ts";
import {
  ISSUING_LIFETIME_MS,
  LEAF_CRL_LIFETIME_MS,
  MAX_LEDGER_BYTES,
  MAX_PEM_BYTES,
  ROOT_CRL_LIFETIME_MS,
  ROOT_LIFETIME_MS,
} from "./constants.ts";
import { generateKey, privateKeyPem, signingKeyOf } from "./keys.ts";
import type { KeyType } from "./keys.ts";
import { ledgerLine, parseLedger } from "./ledger.ts";
import type { Ledger, LedgerEntry } from "./ledger.ts";
import { createFiles, isErrno, PRIVATE_MODE, PUBLIC_MODE } from "./new-file.ts";
import { createIssuing, createRoot } from "./profiles.ts";
import type { Issuer } from "./profiles.ts";
import { createRevocationList } from "./revocation-list.ts";

export interface InitOptions {
  readonly folder: string;
  /** Stands in the names of the CAs: `zgate root CA (NAME)`. */
  readonly name: string;
  readonly keyType: KeyType;
  /** Encrypts the CA keys. */
  readonly passphrase?: string;
  readonly now: Date;
}

/** Makes a root, an issuing CA under it, and their empty revocation lists. Returns the paths that were written. */
export async function initAuthority(options: InitOptions): Promise<readonly string[]> {
  const { folder, name, keyType, passphrase, now } = options;
  await mkdir(folder, { recursive: true });
  const rootKey = await generateKey(keyType);
  const issuingKey = await generateKey(keyType);
  const rootPeriod = { now, lifetimeMs: ROOT_LIFETIME_MS };
  const root = { certificate: await createRoot(`zgate root CA (${name})`, rootKey, rootPeriod), key: rootKey };
  const issuingPeriod = { now, lifetimeMs: ISSUING_LIFETIME_MS };
  const certificate = await createIssuing(`zgate issuing CA (${name})`, issuingKey.publicKey, root, issuingPeriod);
  const issuing = { certificate, key: issuingKey };
  const lists =
    (await createRevocationList(issuing, [], now, LEAF_CRL_LIFETIME_MS)) +
    (await createRevocationList(root, [], now, ROOT_CRL_LIFETIME_MS));
  const files = [
    { path: join(folder, "ca-key.pem"), text: await privateKeyPem(rootKey, passphrase), mode: PRIVATE_MODE },
    { path: join(folder, "ca.pem"), text: certificatePem(root.certificate), mode: PUBLIC_MODE },
    { path: join(folder, "issuing-ca-key.pem"), text: await privateKeyPem(issuingKey, passphrase), mode: PRIVATE_MODE },
    { path: join(folder, "issuing-ca.pem"), text: certificatePem(certificate), mode: PUBLIC_MODE },
    { path: join(folder, "crl.pem"), text: lists, mode: PUBLIC_MODE },
    { path: join(folder, "ledger.jsonl"), text: "", mode: PRIVATE_MODE },
  ];
  await createFiles(files);
  return files.map((file) => file.path);
}

/** Throws `ZG_PKI_INVALID` when certificate and key cannot be used, `ZG_FILE_UNREADABLE` when one is not there. */
export async function openIssuingCa(folder: string, passphrase?: string): Promise<Issuer> {
  try {
    return await openCa(folder, "issuing-ca", passphrase);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const reason = `${folder} holds no issuing CA: zgate pki init makes one, --dir names another folder`;
    throw new ZgateError("ZG_FILE_UNREADABLE", reason, { cause: error });
  }
}

/** The root; undefined when its key is not in the folder. */
export async function openRootCa(folder: string, passphrase?: string): Promise<Issuer | undefined> {
  try {
    return await openCa(folder, "ca", passphrase);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ZgateError && isErrno(error.cause, "ENOENT");
}

async function openCa(folder: string, name: string, passphrase?: string): Promise<Issuer> {
  const keyPath = join(folder, `${name}-key.pem`);
  const key = await signingKeyOf(keyPath, await readTextFile(keyPath, MAX_PEM_BYTES), passphrase);
  return { certificate: await readCertificate(join(folder, `${name}.pem`)), key };
}

/** The first certificate of a PEM file. */
export async function readCertificate(path: string): Promise<X509Certificate> {
  const pem = await readTextFile(path, MAX_PEM_BYTES);
  try {
    return new X509Certificate(pem);
  } catch (error) {
    const reason = `${path}: there is no certificate in it: ${messageOf(error)}`;
    throw new ZgateError("ZG_PKI_INVALID", reason, { cause: error });
  }
}

export function ledgerPath(folder: string): string {
  return join(folder, "ledger.jsonl");
}

export async function readLedger(folder: string): Promise<Ledger> {
  const path = ledgerPath(folder);
  return parseLedger(path, await readTextFile(path, MAX_LEDGER_BYTES));
}

/**
 * Adds entries in one write at the end, so that several processes may do so, and waits until they are on disk. Where a
 * crash left a line without its end, they begin on a new one.
 */
export async function appendToLedger(folder: string, entries: readonly LedgerEntry[]): Promise<void> {
  const path = ledgerPath(folder);
  try {
    await using file = await open(path, constants.O_RDWR | constants.O_APPEND);
    const { size } = await file.stat();
    const last = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
    const torn = last.bytesRead === 1 && last.buffer[0] !== "\n".charCodeAt(0);
    await file.appendFile((torn ? "\n" : "") + entries.map(ledgerLine).join(""));
    await file.sync();
  } catch (error) {
    throw new ZgateError("ZG_FILE_UNREADABLE", `${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

export function certificatePem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
