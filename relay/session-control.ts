/**
 * What one session and its client tell each other on the control stream, after the 200.
 *
 *   to the client ▸ ADDRESS_ASSIGN ▸ ROUTE_ADVERTISEMENT, again where it differs
 *   from the client ▸ ADDRESS_REQUEST: an answer ▸ packets of a session without lanes: uplink ▸ others: ignored
 */
import { ZgateError } from "../shared/errors.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import { decodeAddressRequest } from "../shared/tunnel/address-capsule.ts";
import { CapsuleChannel } from "../shared/tunnel/capsule-channel.ts";
import { CAPSULE_ADDRESS_REQUEST, CAPSULE_DATAGRAM } from "../shared/tunnel/constants.ts";
import { CONTROL_MESSAGES_BURST, CONTROL_MESSAGES_PER_SECOND } from "./constants.ts";
import { assignmentOf } from "./control-capsule.ts";
import { DatagramCarrier } from "./datagram-carrier.ts";
import type { RouteBook } from "./route-book.ts";
import type { EndReason, Session } from "./session.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { Uplink } from "./uplink.ts";

/** Who ends sessions: `SessionRegistry`. */
export interface SessionEnds {
  /** Ends a session: nothing of it passes from now on, and its peer is told `code` and `detail`. Idempotent. */
  end(session: Session, reason: EndReason, code: number, detail: string): void;
  /** Ends a session that met a fault of ours: the others go on. */
  fail(session: Session, error: unknown): void;
}

export interface ControlParts {
  readonly uplink: Uplink;
  readonly routes: RouteBook;
  readonly ends: SessionEnds;
}

export class SessionControl {
  readonly #session: Session;
  readonly #parts: ControlParts;
  readonly #capsules: CapsuleChannel;
  readonly #messages = new TokenBucket(CONTROL_MESSAGES_PER_SECOND, CONTROL_MESSAGES_BURST);
  /** The ROUTE_ADVERTISEMENT that was sent last. */
  #advertised: Uint8Array | undefined;
  /** The one that will be sent next, unless it says the same. */
  #asked: Promise<Uint8Array> | undefined;

  /** Reads the control stream from now on. */
  constructor(session: Session, parts: ControlParts) {
    this.#session = session;
    this.#parts = parts;
    const { ends, uplink } = parts;
    this.#capsules = new CapsuleChannel(session.control, {
      onCapsule: (type, value) => this.#contain(() => this.#capsule(type, value)),
      onEnd: (reason) => ends.end(session, "client", HTTP3_CODE.H3_NO_ERROR, reason),
      onFault: (error) => ends.end(session, "protocol-error", HTTP3_CODE.H3_DATAGRAM_ERROR, error.message),
    });
    const { carrier } = session;
    if (carrier instanceof DatagramCarrier) {
      carrier.sendCapsule = (capsule) => this.#capsules.send(capsule);
      session.control.onDatagram = (slab, from, to) => this.#contain(() => uplink.datagram(session, slab, from, to));
    }
  }

  /** Tells the client its addresses, then what it may reach. */
  open(): void {
    this.#send(assignmentOf(this.#session.lease, []));
    this.advertise();
  }

  /** Tells the client what it may reach, where that is not what it was told last. */
  advertise(): void {
    const session = this.#session;
    if (session.ended) return;
    const asked = this.#parts.routes.capsuleFor(session.judge.policy);
    this.#asked = asked;
    asked.then(
      (capsule) => {
        if (this.#asked !== asked) return;
        this.#asked = undefined;
        if (session.ended || (this.#advertised !== undefined && Buffer.compare(capsule, this.#advertised) === 0))
          return;
        this.#advertised = capsule;
        this.#send(capsule);
      },
      (error: unknown) => {
        if (this.#asked === asked && !session.ended) this.#parts.ends.fail(session, error);
      },
    );
  }

  #send(capsule: Uint8Array): void {
    if (this.#session.ended || this.#capsules.send(capsule)) return;
    const detail = "the client does not read its control stream";
    this.#parts.ends.end(this.#session, "protocol-error", HTTP3_CODE.H3_EXCESSIVE_LOAD, detail);
  }

  /** Runs a handler of what a client sent. What it says of the client is thrown on; a fault of ours ends the session. */
  #contain(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      if (error instanceof ZgateError) throw error;
      this.#parts.ends.fail(this.#session, error);
    }
  }

  #capsule(type: number, value: Uint8Array): void {
    const session = this.#session;
    if (session.ended) return;
    if (type !== CAPSULE_DATAGRAM && !this.#messages.take(1, performance.now())) {
      const detail = `more than ${CONTROL_MESSAGES_PER_SECOND} control messages a second`;
      this.#parts.ends.end(session, "over-limit", HTTP3_CODE.H3_EXCESSIVE_LOAD, detail);
      return;
    }
    switch (type) {
      case CAPSULE_DATAGRAM:
        if (session.agreement.lanes > 0)
          throw new ZgateError("ZG_CAPSULE", "DATAGRAM capsules have no place beside lanes");
        this.#parts.uplink.datagram(session, value, 0, value.length);
        return;
      case CAPSULE_ADDRESS_REQUEST:
        this.#send(assignmentOf(session.lease, decodeAddressRequest(value)));
        return;
      default:
        // ADDRESS_ASSIGN and ROUTE_ADVERTISEMENT of a client offer a network behind it, which zgate does not use.
        return;
    }
  }
}
