/**
 * The PEM files of one side → `TlsMaterial`, with everything that can be known about them beforehand checked: each is
 * PEM of the right kind, the key is the certificate's, the certificate is in its time, each part can be parsed. What the
 * files say of the peer is checked in the handshake.
 */
import { X509Certificate } from "node:crypto";
import { stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, ZgateError } from "../errors.ts";
import type { KeyExchange, TlsMaterial } from "../native/quic.ts";
import { unixMs } from "../units.ts";
import type { UnixMs } from "../units.ts";
import { readTextFile } from "../yaml/file.ts";
import { MAX_PEM_BYTES, PAIR_SETTLE_MS } from "./constants.ts";
import { normalSerial } from "./identity.ts";
import { privateKeyOf } from "./keys.ts";
import { pemBlocks } from "./pem.ts";
import { CRL_LABEL, readRevocationLists } from "./revocation-list.ts";

/** Paths as the configuration has them. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly crl?: string | undefined;
  readonly keyExchange: KeyExchange;
}

export interface LoadedTls {
  readonly material: TlsMaterial;
  /** Own leaf. */
  readonly leaf: {
    readonly subject: string;
    /** As `Identity.serial`. */
    readonly serial: string;
    readonly notBefore: UnixMs;
    readonly notAfter: UnixMs;
  };
  /** Sentences for the log: nothing that stops the program, but that somebody should look at. */
  readonly warnings: readonly string[];
  /** The files that were read: to follow for renewal. */
  readonly files: readonly string[];
}

/** Throws `ZG_TLS_MATERIAL` with the file and what is wrong with it, or `ZG_FILE_UNREADABLE`. */
export async function loadTlsFiles(files: TlsFiles, now: UnixMs): Promise<LoadedTls> {
  const warnings: string[] = [];
  const [certificatePem, privateKeyPem, caPem, crlPem] = await Promise.all([
    readTextFile(files.cert, MAX_PEM_BYTES),
    readTextFile(files.key, MAX_PEM_BYTES),
    readTextFile(files.ca, MAX_PEM_BYTES),
    files.crl === undefined ? undefined : readTextFile(files.crl, MAX_PEM_BYTES),
  ]);
  const [leaf] = certificatesOf(files.cert, certificatePem);
  checkPeriod(files.cert, leaf, now);
  checkKey(files, leaf, privateKeyPem);
  for (const authority of certificatesOf(files.ca, caPem)) {
    if (!authority.ca) throw wrong(files.ca, `${nameOf(authority)} is not a CA certificate`);
    if (authority.validToDate.getTime() <= now) warnings.push(`${files.ca}: the CA ${nameOf(authority)} has expired`);
  }
  if (files.crl !== undefined && crlPem !== undefined) warnings.push(...checkLists(files.crl, crlPem, now));
  const { mode } = await stat(files.key);
  if ((mode & 0o077) !== 0) {
    warnings.push(`${files.key}: others can read the private key (mode ${(mode & 0o777).toString(8)}); chmod 600 it`);
  }
  const { keyExchange } = files;
  const own = { certificatePem, privateKeyPem, caPem, keyExchange };
  return {
    material: crlPem === undefined ? own : { ...own, crlPem },
    leaf: {
      subject: nameOf(leaf),
      serial: normalSerial(leaf.serialNumber),
      notBefore: unixMs(leaf.validFromDate.getTime()),
      notAfter: unixMs(leaf.validToDate.getTime()),
    },
    warnings,
    files: [files.cert, files.key, files.ca, ...(files.crl === undefined ? [] : [files.crl])],
  };
}

/**
 * As `loadTlsFiles`, for files that have just changed: certificate and key are two files that change one after the
 * other, so what does not fit together is looked at once more a moment later.
 */
export async function loadChangedTlsFiles(files: TlsFiles, clock: () => UnixMs): Promise<LoadedTls> {
  try {
    return await loadTlsFiles(files, clock());
  } catch {
    await sleep(PAIR_SETTLE_MS);
    return await loadTlsFiles(files, clock());
  }
}

function certificatesOf(file: string, pem: string): readonly [X509Certificate, ...X509Certificate[]] {
  const [first, ...others] = pemBlocks(file, pem, "CERTIFICATE").map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw wrong(file, `certificate ${index + 1} in it cannot be parsed: ${messageOf(error)}`, error);
    }
  });
  if (first === undefined) throw wrong(file, "there is no PEM block of a certificate in it");
  return [first, ...others];
}

function checkPeriod(file: string, leaf: X509Certificate, now: UnixMs): void {
  if (leaf.validToDate.getTime() <= now) {
    throw wrong(file, `the certificate has expired on ${leaf.validToDate.toISOString()}`);
  }
  if (leaf.validFromDate.getTime() > now) {
    throw wrong(file, `the certificate is valid only from ${leaf.validFromDate.toISOString()}; is the clock right?`);
  }
}

/** A list that is overdue still counts, as every revocation in it does; but newer ones may be missing. */
function checkLists(file: string, pem: string, now: UnixMs): readonly string[] {
  const lists = readRevocationLists(file, pem);
  if (lists.length === 0) throw wrong(file, `there is no PEM block of a revocation list (${CRL_LABEL}) in it`);
  return lists
    .map((list) => list.nextUpdate)
    .filter((end) => end !== undefined)
    .filter((end) => end <= now)
    .map((end) => `${file}: a revocation list in it should have been replaced by ${new Date(end).toISOString()}`);
}

function checkKey(files: TlsFiles, leaf: X509Certificate, pem: string): void {
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(privateKeyOf(files.key, pem));
  } catch (error) {
    throw new ZgateError("ZG_TLS_MATERIAL", messageOf(error), { cause: error });
  }
  if (!matches) throw wrong(files.key, `the key is not that of the certificate in ${files.cert}`);
}

/** One line: `CN=relay.example`. */
function nameOf(certificate: X509Certificate): string {
  return (certificate.subject ?? "").replaceAll("\n", ", ");
}

function wrong(file: string, reason: string, cause?: unknown): ZgateError {
  return new ZgateError("ZG_TLS_MATERIAL", `${file}: ${reason}`, { cause });
}
