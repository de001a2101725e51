/**
 * Revocation beyond the handshake: the lists in force → no session is opened with a certificate that was revoked after
 * its handshake began, and sessions in progress end when a new list names theirs.
 */
import type { Identity } from "../shared/pki/identity.ts";
import { RevocationIndex } from "../shared/pki/revocation-index.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import type { EndReason } from "./session.ts";

/** What this needs of a session. */
export interface RevocableSession {
  readonly identity: Identity;
  /** The verified chain, DER, leaf first. */
  readonly chain: readonly Uint8Array[];
}

/** `SessionRegistry`, as far as it is needed. */
export interface RevocableSessions<Session extends RevocableSession> extends Iterable<Session> {
  end(session: Session, reason: EndReason, code: number, detail: string): void;
}

export class Revocations {
  #index: RevocationIndex | undefined;

  /** The lists to start with. Throws `ZG_TLS_MATERIAL`. `file` names them in errors. */
  constructor(file: string | undefined, crlPem: string | undefined) {
    this.#index = indexOf(file, crlPem);
  }

  /** New lists: ends the sessions that they name. Throws `ZG_TLS_MATERIAL` and changes nothing when one cannot be read. */
  update<Session extends RevocableSession>(
    file: string | undefined,
    crlPem: string | undefined,
    sessions: RevocableSessions<Session>,
  ): void {
    this.#index = indexOf(file, crlPem);
    for (const session of [...sessions]) {
      const reason = this.reasonAgainst(session);
      if (reason !== undefined) sessions.end(session, "revoked", CLOSE_CODE.REVOKED, reason);
    }
  }

  /** A sentence when a certificate of the chain is revoked. */
  reasonAgainst({ identity, chain }: RevocableSession): string | undefined {
    const serial = this.#index?.revokedSerial(identity, chain);
    if (serial === undefined) return undefined;
    return serial === identity.serial
      ? `the certificate ${serial} was revoked`
      : `the certificate ${serial} of its CA was revoked`;
  }
}

function indexOf(file: string | undefined, crlPem: string | undefined): RevocationIndex | undefined {
  return file === undefined || crlPem === undefined ? undefined : new RevocationIndex(file, crlPem);
}
