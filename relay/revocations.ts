/**
 * Revocation beyond the handshake: the lists in force → no session is opened with a certificate that was revoked after
 * its handshake began, and sessions in progress end when a new list names theirs.
 */
import type { TlsMaterial } from "../shared/native/quic.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { RevocationIndex } from "../shared/pki/revocation-index.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import type { EndReason } from "./session.ts";

/** What a session stands on, as `SessionCertificates` has it. */
export interface RevocableCertificates {
  /** Oldest first, all of one CA. */
  readonly identities: readonly Identity[];
  /** The chain as the client sent it, DER, the verified leaf first. */
  readonly chain: readonly Uint8Array[];
}

/** What this needs of a session. */
export interface RevocableSession {
  readonly certificates: RevocableCertificates;
}

/** Lists, and the trust anchors under which the chains are. */
export type RevocationMaterial = Pick<TlsMaterial, "crlPem" | "caPem">;

/** `SessionRegistry`, as far as it is needed. */
export interface RevocableSessions<Session extends RevocableSession> extends Iterable<Session> {
  end(session: Session, reason: EndReason, code: number, detail: string): void;
}

export class Revocations {
  #index: RevocationIndex | undefined;

  /** What to start with. Throws `ZG_TLS_MATERIAL`. `file` names the lists in errors. */
  constructor(file: string | undefined, material: RevocationMaterial) {
    this.#index = indexOf(file, material);
  }

  /** New lists: ends the sessions that they name. Throws `ZG_TLS_MATERIAL` and changes nothing when one cannot be read. */
  update<Session extends RevocableSession>(
    file: string | undefined,
    material: RevocationMaterial,
    sessions: RevocableSessions<Session>,
  ): void {
    this.#index = indexOf(file, material);
    for (const session of [...sessions]) {
      const reason = this.reasonAgainst(session.certificates);
      if (reason !== undefined) sessions.end(session, "revoked", CLOSE_CODE.REVOKED, reason);
    }
  }

  /** A sentence when one of the certificates, or of the CAs above them, is revoked. */
  reasonAgainst({ identities, chain }: RevocableCertificates): string | undefined {
    for (const identity of identities) {
      const serial = this.#index?.revokedSerial(identity, chain);
      if (serial === undefined) continue;
      if (serial !== identity.serial) return `the certificate ${serial} of its CA was revoked`;
      const renewed = identity === identities.at(-1) ? "" : ", which the one in use was renewed from";
      return `the certificate ${serial} was revoked${renewed}`;
    }
    return undefined;
  }
}

function indexOf(file: string | undefined, { crlPem, caPem }: RevocationMaterial): RevocationIndex | undefined {
  return file === undefined || crlPem === undefined ? undefined : new RevocationIndex(file, crlPem, caPem);
}
