/**
 * Renewal of a certificate in its files: when two thirds of its life are over, a new key and certificate from the
 * enrolment service. `check` is called again and again; between renewals it only compares times.
 */
import { X509Certificate } from "node:crypto";
import { messageOf } from "../errors.ts";
import { unixMs } from "../units.ts";
import type { UnixMs } from "../units.ts";
import {
  MAX_RENEWAL_RETRY_MS,
  MIN_RENEWAL_RETRY_MS,
  RENEWAL_JITTER,
  RENEWAL_RETRY_SHARE,
  RENEWAL_SHARE,
} from "./constants.ts";
import { renew } from "./enrolment-client.ts";
import type { RenewalTransport } from "./enrolment-client.ts";
import type { KeyType } from "./keys.ts";
import { PRIVATE_MODE, PUBLIC_MODE, replaceFile } from "./new-file.ts";
import { loadTlsFiles } from "./tls-files.ts";
import type { TlsFiles } from "./tls-files.ts";

export type RenewalOutcome =
  | { readonly what: "renewed"; readonly notAfter: UnixMs }
  /** The old certificate is still in its files; another attempt comes at `retryAt`. */
  | { readonly what: "failed"; readonly reason: string; readonly retryAt: UnixMs };

/** When a certificate is due: after two thirds of its life, spread so that a fleet does not come at once. */
export function renewalTime(notBefore: UnixMs, notAfter: UnixMs, random: number): UnixMs {
  return unixMs(notBefore + (notAfter - notBefore) * (RENEWAL_SHARE + (random - 0.5) * RENEWAL_JITTER));
}

/** When to try again after a failure: some times in what is left, neither in a hurry nor only once an hour. */
export function retryTime(now: UnixMs, notAfter: UnixMs, random: number): UnixMs {
  const share = Math.max(0, notAfter - now) * RENEWAL_RETRY_SHARE;
  const wait = Math.min(MAX_RENEWAL_RETRY_MS, Math.max(MIN_RENEWAL_RETRY_MS, share));
  return unixMs(now + wait * (0.5 + random));
}

export class CertificateRenewal {
  readonly #files: TlsFiles;
  readonly #transport: RenewalTransport;
  #due: UnixMs = unixMs(0);
  #busy = false;

  /** `transport`: to the enrolment service. */
  constructor(files: TlsFiles, transport: RenewalTransport) {
    this.#files = files;
    this.#transport = transport;
  }

  /** Renews when it is time. Undefined: it is not. Never rejects. */
  async check(now: UnixMs): Promise<RenewalOutcome | undefined> {
    if (this.#busy || now < this.#due) return undefined;
    this.#busy = true;
    try {
      return await this.#renewWhenDue(now);
    } catch (error) {
      // The files cannot be read, or hold nothing of use: what is wrong may be put right at any time.
      this.#due = retryTime(now, now, Math.random());
      return { what: "failed", reason: messageOf(error), retryAt: this.#due };
    } finally {
      this.#busy = false;
    }
  }

  async #renewWhenDue(now: UnixMs): Promise<RenewalOutcome | undefined> {
    // Read each time: somebody else may have renewed the files meanwhile.
    const { material, leaf } = await loadTlsFiles(this.#files, now);
    const due = renewalTime(leaf.notBefore, leaf.notAfter, Math.random());
    if (now < due) {
      this.#due = due;
      return undefined;
    }
    try {
      const fresh = await renew(this.#transport, material, keyTypeOf(material.certificatePem));
      // Two files cannot change in one step: who reads them in between refuses the pair and reads again.
      await replaceFile({ path: this.#files.key, text: fresh.privateKeyPem, mode: PRIVATE_MODE });
      await replaceFile({ path: this.#files.cert, text: fresh.certificatePem, mode: PUBLIC_MODE });
      const notAfter = unixMs(new X509Certificate(fresh.certificatePem).validToDate.getTime());
      // Of what is left of its life: it begins in the past, which would make a very short one due at once and again.
      this.#due = renewalTime(now, notAfter, Math.random());
      return { what: "renewed", notAfter };
    } catch (error) {
      this.#due = retryTime(now, leaf.notAfter, Math.random());
      return { what: "failed", reason: messageOf(error), retryAt: this.#due };
    }
  }
}

function keyTypeOf(certificatePem: string): KeyType {
  return new X509Certificate(certificatePem).publicKey.asymmetricKeyType === "ed25519" ? "ed25519" : "p256";
}
