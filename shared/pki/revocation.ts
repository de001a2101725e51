/** Revoking certificates of an authority: find them → ledger → revocation lists. */
import { join } from "node:path";
import { ZgateError } from "../errors.ts";
import { readTextFile } from "../yaml/file.ts";
import { appendToLedger, openIssuingCa, openRootCa, readCertificate, readLedger } from "./authority.ts";
import { CRL_KEEP_MS, LEAF_CRL_LIFETIME_MS, MAX_PEM_BYTES, ROOT_CRL_LIFETIME_MS } from "./constants.ts";
import { normalSerial } from "./identity.ts";
import { stateOf, withRenewals } from "./ledger.ts";
import type { IssuedEntry, Ledger, RevocationReason } from "./ledger.ts";
import { PUBLIC_MODE, replaceFile } from "./new-file.ts";
import { pemBlocks } from "./pem.ts";
import { CRL_LABEL, createRevocationList } from "./revocation-list.ts";

export interface RevokeOptions {
  readonly folder: string;
  /**
   * A name (all its valid certificates), a serial number, or the path of a certificate. With a certificate go those that
   * its holder has renewed it to, unless the reason is that it is superseded by them.
   */
  readonly what: string;
  readonly reason: RevocationReason;
  readonly passphrase?: string;
  readonly now: Date;
}

/** Revokes, writes `crl.pem`, and returns what was revoked. Throws `ZG_PKI_INVALID` when nothing is there to revoke. */
export async function revoke(options: RevokeOptions): Promise<readonly IssuedEntry[]> {
  const { folder, now, reason } = options;
  const ledger = await readLedger(folder);
  const named = await targetsOf(options.what, ledger);
  const affected = reason === "superseded" ? named : withRenewals(named, ledger);
  const targets = affected.filter((entry) => stateOf(entry, ledger, now) === "valid");
  if (targets.length === 0) {
    throw new ZgateError(
      "ZG_PKI_INVALID",
      `${options.what}: the authority in ${folder} has no valid certificate of it`,
    );
  }
  // Opened first: a wrong passphrase must not leave a ledger that the lists do not show.
  await openIssuingCa(folder, options.passphrase);
  const at = now.toISOString();
  await appendToLedger(
    folder,
    targets.map((entry) => ({ type: "revoked", serial: entry.serial, reason, at })),
  );
  await writeRevocationLists(options);
  return targets;
}

export interface RevocationListOptions {
  readonly folder: string;
  readonly passphrase?: string;
  readonly now: Date;
}

/**
 * Writes `crl.pem`: the issuing CA's list from the ledger, and the root's. Without the root's key its list stays as it
 * is. Returns the path.
 */
export async function writeRevocationLists(options: RevocationListOptions): Promise<string> {
  const { folder, passphrase, now } = options;
  const path = join(folder, "crl.pem");
  const ledger = await readLedger(folder);
  const listed = [...ledger.revoked.values()].filter((entry) => {
    const end = ledger.issued.get(entry.serial)?.notAfter;
    return end === undefined || Date.parse(end) + CRL_KEEP_MS > now.getTime();
  });
  const issuing = await createRevocationList(
    await openIssuingCa(folder, passphrase),
    listed,
    now,
    LEAF_CRL_LIFETIME_MS,
  );
  const root = await openRootCa(folder, passphrase);
  const rootList =
    root === undefined ? await presentRootList(path) : await createRevocationList(root, [], now, ROOT_CRL_LIFETIME_MS);
  await replaceFile({ path, text: issuing + rootList, mode: PUBLIC_MODE });
  return path;
}

/** We write the issuing CA's list first, the root's after it. */
async function presentRootList(path: string): Promise<string> {
  const [, rootList] = pemBlocks(path, await readTextFile(path, MAX_PEM_BYTES), CRL_LABEL);
  return rootList === undefined ? "" : `${rootList}\n`;
}

async function targetsOf(what: string, ledger: Ledger): Promise<readonly IssuedEntry[]> {
  const bySerial = ledger.issued.get(normalSerial(what));
  if (bySerial !== undefined) return [bySerial];
  const byName = [...ledger.issued.values()].filter((entry) => entry.name === what);
  if (byName.length > 0) return byName;
  if (!what.endsWith(".pem")) return [];
  const byFile = ledger.issued.get(normalSerial((await readCertificate(what)).serialNumber));
  return byFile === undefined ? [] : [byFile];
}
