/**
 * What an authority remembers of the certificates it signed: JSON lines, only ever appended to.
 *
 *   {"type":"issued","serial":…,"kind":"client","name":"client-1",…}
 *   {"type":"revoked","serial":…,"reason":"keyCompromise","at":…}
 *
 * Pure: text → entries, entry → line. `authority.ts` reads and appends.
 */
import { z } from "zod";
import { ZgateError } from "../errors.ts";

/** Reasons that an end-entity certificate may be revoked for (RFC 5280 section 5.3.1). */
export const REVOCATION_REASONS = [
  "unspecified",
  "keyCompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "privilegeWithdrawn",
] as const;
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

/** As `Identity.serial`. */
const SERIAL = /^[0-9a-f]{1,40}$/;

const issuedSchema = z.strictObject({
  type: z.literal("issued"),
  serial: z.string().regex(SERIAL),
  kind: z.enum(["relay", "client"]),
  name: z.string(),
  fingerprint256: z.string().regex(/^[0-9a-f]{64}$/),
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  /** Serial number of the certificate whose holder asked for this one. */
  renews: z.string().regex(SERIAL).optional(),
});

const revokedSchema = z.strictObject({
  type: z.literal("revoked"),
  serial: z.string().regex(SERIAL),
  reason: z.enum(REVOCATION_REASONS),
  at: z.iso.datetime(),
});

const entrySchema = z.discriminatedUnion("type", [issuedSchema, revokedSchema]);
export type LedgerEntry = z.infer<typeof entrySchema>;
export type IssuedEntry = z.infer<typeof issuedSchema>;
export type RevokedEntry = z.infer<typeof revokedSchema>;

/** The entries of a ledger by serial number. */
export interface Ledger {
  readonly issued: ReadonlyMap<string, IssuedEntry>;
  readonly revoked: ReadonlyMap<string, RevokedEntry>;
}

export type CertificateState = "valid" | "expired" | "revoked";

export function stateOf(entry: IssuedEntry, ledger: Ledger, now: Date): CertificateState {
  if (ledger.revoked.has(entry.serial)) return "revoked";
  return Date.parse(entry.notAfter) <= now.getTime() ? "expired" : "valid";
}

/**
 * These entries, and those of all certificates that were asked for with one of them, and so on: whoever had the key of the
 * first may have the last.
 */
export function withRenewals(entries: readonly IssuedEntry[], ledger: Ledger): readonly IssuedEntry[] {
  const found = new Map(entries.map((entry) => [entry.serial, entry]));
  // In the order of issue: what was renewed comes before what it was renewed to.
  for (const entry of ledger.issued.values()) {
    if (entry.renews !== undefined && found.has(entry.renews)) found.set(entry.serial, entry);
  }
  return [...found.values()];
}

export function ledgerLine(entry: LedgerEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

/** Throws `ZG_PKI_INVALID` with the line that is wrong: a ledger that is half understood would forget revocations. */
export function parseLedger(file: string, text: string): Ledger {
  const entries = new LedgerEntries(file);
  entries.add(text);
  return entries;
}

/** A ledger that is read in pieces. */
export class LedgerEntries implements Ledger {
  readonly issued = new Map<string, IssuedEntry>();
  readonly revoked = new Map<string, RevokedEntry>();
  readonly #file: string;
  #lines = 0;

  /** `file` names it in errors. */
  constructor(file: string) {
    this.#file = file;
  }

  /**
   * Whole lines. Throws as `parseLedger` does. A line without its closing brace is what a crash left of an append; what it
   * announced was not done, so it is passed over.
   */
  add(text: string): void {
    const lines = text.split("\n");
    for (const [index, line] of lines.entries()) {
      if (!line.endsWith("}")) continue;
      const entry = entryOf(line);
      if (entry === undefined) {
        const where = `${this.#file}:${this.#lines + index + 1}`;
        throw new ZgateError("ZG_PKI_INVALID", `${where}: this is no entry of a ledger`);
      }
      // The first revocation counts: a second one must not move its date.
      if (entry.type === "issued") this.issued.set(entry.serial, entry);
      else if (!this.revoked.has(entry.serial)) this.revoked.set(entry.serial, entry);
    }
    this.#lines += lines.length - 1;
  }

  /** Certificates that have expired by `now`, and their revocations. */
  forgetExpired(now: Date): void {
    for (const { serial, notAfter } of this.issued.values()) {
      if (Date.parse(notAfter) > now.getTime()) continue;
      this.issued.delete(serial);
      this.revoked.delete(serial);
    }
  }
}

function entryOf(line: string): LedgerEntry | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
