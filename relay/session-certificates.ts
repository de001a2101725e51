/**
 * The certificates that a session stands on: that of its handshake, then those that its client got on its own connection.
 *
 *   TLS verified A ▸ the authority gave B to the holder of A, on this connection ▸ the session lasts as long as B
 *
 * Revoking A ends the session as revoking B does, as long as A would be valid: whoever had the key of A could have had B
 * made. What has expired cannot be revoked any more and is forgotten.
 */
import { certificateParts } from "../shared/pki/der.ts";
import { clientIdentity } from "../shared/pki/identity.ts";
import type { Identity } from "../shared/pki/identity.ts";
import type { UnixMs } from "../shared/units.ts";
import { MAX_SESSION_CERTIFICATES } from "./constants.ts";

export class SessionCertificates {
  /** The chain of the handshake, DER, the verified leaf first. */
  readonly chain: readonly Uint8Array[];
  /** Oldest first. */
  #identities: readonly Identity[];
  #current: Identity;

  constructor(identity: Identity, chain: readonly Uint8Array[]) {
    this.chain = chain;
    this.#identities = [identity];
    this.#current = identity;
  }

  /** The newest. */
  get current(): Identity {
    return this.#current;
  }

  /** All whose revocation ends the session. */
  get identities(): readonly Identity[] {
    return this.#identities;
  }

  /** Another certificate would be one too many. */
  isFull(now: UnixMs): boolean {
    return this.#valid(now).length >= MAX_SESSION_CERTIFICATES;
  }

  /**
   * Takes a certificate that was just issued to this client, DER. False, and nothing changes, when it is of another name
   * or of another CA than the one that TLS has verified, so that no handshake may accept it.
   */
  renew(leafDer: Uint8Array, now: UnixMs): boolean {
    const identity = clientIdentity(leafDer);
    const { name, issuer } = this.#current;
    if (identity.name !== name || identity.issuer !== issuer || !this.#isOfSameKey(leafDer)) return false;
    this.#identities = [...this.#valid(now), identity];
    this.#current = identity;
    return true;
  }

  /** A CA that was made anew has the same name and another key. */
  #isOfSameKey(leafDer: Uint8Array): boolean {
    const [verified] = this.chain;
    if (verified === undefined) return false;
    return certificateParts(leafDer).authorityKey === certificateParts(verified).authorityKey;
  }

  #valid(now: UnixMs): readonly Identity[] {
    return this.#identities.filter(({ notAfter }) => notAfter > now);
  }
}
