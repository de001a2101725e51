/**
 * The life of every session after its 200: what its client is told, when it ends and why.
 *
 *   open ▸ tables, ADDRESS_ASSIGN, ROUTE_ADVERTISEMENT, audit
 *   renew ▸ another certificate, which the session lasts as long as
 *   policyChanged ▸ the client gone from the policy: end ▸ else flows are judged anew ▸ routes again where they differ
 *   end, lost ▸ tables, lease, audit; what ended already stays ended
 */
import type { Logger } from "pino";
import { ZgateError } from "../shared/errors.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { CloseInfo } from "../shared/native/quic.ts";
import { formatAddress } from "../shared/packet/address.ts";
import type { Limits } from "../shared/policy/document.ts";
import { decodeAddressRequest } from "../shared/tunnel/address-capsule.ts";
import { CapsuleChannel } from "../shared/tunnel/capsule-channel.ts";
import { CAPSULE_ADDRESS_REQUEST, CAPSULE_DATAGRAM, CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { unixMs } from "../shared/units.ts";
import type { UnixMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { ClientBudgets } from "./client-budgets.ts";
import type { ClientBudget } from "./client-budgets.ts";
import {
  CONTROL_MESSAGES_BURST,
  CONTROL_MESSAGES_PER_SECOND,
  FLOWS_JUDGED_A_TURN,
  SESSION_WEIGHT,
} from "./constants.ts";
import { assignmentOf } from "./control-capsule.ts";
import { COUNTER } from "./counters.ts";
import type { Counters } from "./counters.ts";
import { DatagramCarrier } from "./datagram-carrier.ts";
import type { FlowAudit } from "./flow-audit.ts";
import type { LeasePool } from "./lease-pool.ts";
import type { LivePolicy } from "./live-policy.ts";
import { RouteBook } from "./route-book.ts";
import type { EndReason, Session } from "./session.ts";
import { SessionTable } from "./session-table.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { Uplink } from "./uplink.ts";

export interface RegistryParts {
  readonly log: Logger;
  readonly live: LivePolicy;
  readonly pool: LeasePool;
  readonly counters: Counters;
  readonly audit: AuditLog;
  readonly flowAudit: FlowAudit;
  readonly uplink: Uplink;
}

/** What the registry keeps of a session beside the session itself. */
interface Channel {
  readonly capsules: CapsuleChannel;
  readonly messages: TokenBucket;
  /** The ROUTE_ADVERTISEMENT that was sent last. */
  advertised: Uint8Array | undefined;
  /** The one that will be sent next, unless it says the same. */
  asked: Promise<Uint8Array> | undefined;
}

export class SessionRegistry {
  readonly #parts: RegistryParts;
  readonly #table = new SessionTable<Session>();
  readonly #channels = new Map<Session, Channel>();
  readonly #budgets = new ClientBudgets();
  readonly #routes: RouteBook;
  /** Sessions that have not followed the last change of the policy in everything. */
  readonly #behind: Session[] = [];

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#routes = new RouteBook(parts.live);
  }

  get size(): number {
    return this.#table.size;
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#table[Symbol.iterator]();
  }

  /** The session that leases this slot. */
  at(slot: number): Session | undefined {
    return this.#table.at(slot);
  }

  byId(id: string): Session | undefined {
    return this.#table.byId(id);
  }

  ofClient(client: string): readonly Session[] {
    return this.#table.ofClient(client);
  }

  /** What the client may do in all its sessions, those that are over included. */
  budgetOf(client: string, limits: Limits): ClientBudget {
    return this.#budgets.of(client, limits);
  }

  /** To be called now and then: forgets what is worth nothing any more. */
  forgetBudgets(nowMs: number): void {
    this.#budgets.forget(nowMs, (client) => this.#table.ofClient(client).length > 0);
  }

  /** Ends the client's oldest sessions until it has fewer than `limit`: the newest one is the one that lives. */
  makeRoomFor(client: string, limit: number): void {
    const sessions = this.#table.ofClient(client);
    for (const session of sessions.slice(0, Math.max(0, sessions.length - limit + 1))) {
      this.end(session, "replaced", CLOSE_CODE.REPLACED, "the same client opened a newer session");
    }
  }

  /** Takes over a session whose control request was just answered with 200. */
  open(session: Session): void {
    this.#table.add(session);
    this.#parts.flowAudit.follow(session);
    const capsules = new CapsuleChannel(session.control, {
      onCapsule: (type, value) => this.#contain(session, () => this.#capsule(session, type, value)),
      onEnd: (reason) => this.end(session, "client", HTTP3_CODE.H3_NO_ERROR, reason),
      onFault: (error) => this.end(session, "protocol-error", HTTP3_CODE.H3_DATAGRAM_ERROR, error.message),
    });
    const { carrier } = session;
    if (carrier instanceof DatagramCarrier) {
      carrier.sendCapsule = (capsule) => capsules.send(capsule);
      session.control.onDatagram = (slab, from, to) =>
        this.#contain(session, () => this.#parts.uplink.datagram(session, slab, from, to));
    }
    const messages = new TokenBucket(CONTROL_MESSAGES_PER_SECOND, CONTROL_MESSAGES_BURST);
    this.#channels.set(session, { capsules, messages, advertised: undefined, asked: undefined });
    this.#send(session, assignmentOf(session.lease, []));
    this.#advertise(session);
    const { lease } = session;
    const identity = session.certificates.current;
    const { quic } = session.http3;
    const ipv4 = formatAddress(4, ...lease.ipv4);
    const ipv6 = formatAddress(6, ...lease.ipv6);
    this.#parts.audit.sessionUp({
      session: session.id,
      client: session.client,
      remote: session.remote,
      serial: identity.serial,
      fingerprint: identity.fingerprint256,
      notAfter: identity.notAfter,
      ipv4,
      ipv6,
      group: quic.keyExchangeGroup,
      cipher: quic.cipherSuite,
      protocol: session.protocol,
    });
    this.#parts.log.info(
      { session: session.id, client: session.client, remote: session.remote, ipv4, ipv6, group: quic.keyExchangeGroup },
      "session is open",
    );
  }

  /** Ends a session: its peer is told `code` and `detail`. Idempotent. */
  end(session: Session, reason: EndReason, code: number, detail: string): void {
    if (!this.#remove(session, reason, detail)) return;
    session.http3.close(code, detail);
  }

  /** Ends a session that met a fault of ours: the others go on. */
  fail(session: Session, error: unknown): void {
    this.#parts.log.error(
      { err: error, session: session.id, client: session.client },
      "a session failed by a fault of the relay",
    );
    this.end(session, "internal-error", HTTP3_CODE.H3_INTERNAL_ERROR, "the relay failed");
  }

  /** The connection of a session is gone. */
  lost(session: Session, info: CloseInfo): void {
    this.#remove(session, lossReason(info), info.reason);
  }

  endAll(reason: EndReason, code: number, detail: string): void {
    for (const session of [...this.#table]) this.end(session, reason, code, detail);
  }

  /**
   * Takes a certificate, DER, that the client was just issued on the session's connection. Its serial number when the
   * session stands on it from now on, and lasts as long as it does.
   */
  renew(session: Session, leafDer: Uint8Array): string | undefined {
    const { certificates } = session;
    const replaced = certificates.current.serial;
    if (session.ended || !certificates.renew(leafDer, unixMs(Date.now()))) return undefined;
    const { serial, fingerprint256: fingerprint, notAfter } = certificates.current;
    const { id, client, remote } = session;
    this.#parts.audit.sessionRenewed({
      session: id,
      client,
      remote,
      serial,
      fingerprint,
      notAfter,
      replaces: replaced,
    });
    this.#parts.log.info({ session: id, client, serial, notAfter: new Date(notAfter) }, "session was renewed");
    return serial;
  }

  /** Ends the sessions whose certificates have expired: a session is worth no more than the newest that it stands on. */
  endExpired(now: UnixMs): void {
    for (const session of [...this.#table]) {
      const { serial, notAfter } = session.certificates.current;
      if (notAfter > now) continue;
      const detail = `the certificate ${serial} of this session has expired on ${new Date(notAfter).toISOString()}`;
      this.end(session, "expired", CLOSE_CODE.REVOKED, detail);
    }
  }

  /** Announces that the relay goes down. */
  goaway(): void {
    for (const session of this.#table) session.http3.goaway();
  }

  /**
   * The policy in force is another one, or a time condition flipped. It holds for the next packet of every flow; flows
   * without one, and what clients are told they may reach, follow in turns, so that packets do not wait.
   */
  policyChanged(): void {
    this.#routes.forget();
    for (const session of [...this.#table]) this.#guard(session, () => this.#followPolicy(session));
    const sweeping = this.#behind.length > 0;
    this.#behind.length = 0;
    for (const session of this.#table) this.#behind.push(session);
    if (!sweeping) this.#sweep();
  }

  #followPolicy(session: Session): void {
    const { live } = this.#parts;
    const policy = live.current.client(session.client);
    if (policy !== undefined && policy.enabled) {
      session.follow({ policy, compiled: live.current, generation: live.generation });
      return;
    }
    const what = policy === undefined ? "does not know this client any more" : "has this client disabled";
    this.end(session, "policy", CLOSE_CODE.FORBIDDEN, `the policy ${what}`);
  }

  /** One turn of what follows a change. */
  #sweep(): void {
    for (let left = FLOWS_JUDGED_A_TURN; left > 0;) {
      const session = this.#behind.at(-1);
      if (session === undefined) return;
      const judged = this.#guard(session, () => (session.ended ? 0 : session.sweep(left))) ?? 0;
      if (judged < left) {
        this.#behind.pop();
        if (!session.ended) this.#advertise(session);
      }
      left -= judged + SESSION_WEIGHT;
    }
    if (this.#behind.length > 0) setImmediate(() => this.#sweep());
  }

  /** Tells the client what it may reach, where that is not what it was told last. */
  #advertise(session: Session): void {
    const channel = this.#channels.get(session);
    if (channel === undefined) return;
    const asked = this.#routes.capsuleFor(session.judge.policy);
    channel.asked = asked;
    asked.then(
      (capsule) => {
        if (channel.asked !== asked) return;
        channel.asked = undefined;
        if (session.ended || (channel.advertised !== undefined && Buffer.compare(capsule, channel.advertised) === 0))
          return;
        channel.advertised = capsule;
        this.#send(session, capsule);
      },
      (error: unknown) => {
        if (channel.asked === asked && !session.ended) this.fail(session, error);
      },
    );
  }

  /** A fault while a session follows the policy is that session's end, and nothing to the others. */
  #guard<Result>(session: Session, work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.fail(session, error);
      return undefined;
    }
  }

  #send(session: Session, capsule: Uint8Array): void {
    if (this.#channels.get(session)?.capsules.send(capsule) === true) return;
    this.end(session, "protocol-error", HTTP3_CODE.H3_EXCESSIVE_LOAD, "the client does not read its control stream");
  }

  /** Runs a handler of what a client sent. What it says of the client is thrown on; a fault of ours ends the session. */
  #contain(session: Session, handler: () => void): void {
    try {
      handler();
    } catch (error) {
      if (error instanceof ZgateError) throw error;
      this.fail(session, error);
    }
  }

  #capsule(session: Session, type: number, value: Uint8Array): void {
    if (session.ended) return;
    if (type !== CAPSULE_DATAGRAM && this.#channels.get(session)?.messages.take(1, performance.now()) === false) {
      const detail = `more than ${CONTROL_MESSAGES_PER_SECOND} control messages a second`;
      this.end(session, "over-limit", HTTP3_CODE.H3_EXCESSIVE_LOAD, detail);
      return;
    }
    switch (type) {
      case CAPSULE_DATAGRAM:
        if (session.agreement.lanes > 0)
          throw new ZgateError("ZG_CAPSULE", "DATAGRAM capsules have no place beside lanes");
        this.#parts.uplink.datagram(session, value, 0, value.length);
        return;
      case CAPSULE_ADDRESS_REQUEST:
        this.#send(session, assignmentOf(session.lease, decodeAddressRequest(value)));
        return;
      default:
        // ADDRESS_ASSIGN and ROUTE_ADVERTISEMENT of a client offer a network behind it, which zgate does not use.
        return;
    }
  }

  #remove(session: Session, reason: EndReason, detail: string): boolean {
    if (session.ended) return false;
    session.ended = true;
    this.#table.remove(session);
    this.#channels.delete(session);
    const { pool, flowAudit, counters, audit, log } = this.#parts;
    pool.release(session.lease);
    flowAudit.endAll(session);
    counters.add(COUNTER.sessionsEnded[reason]);
    audit.sessionDown({
      session: session.id,
      client: session.client,
      remote: session.remote,
      start: session.startedAt,
      end: unixMs(Date.now()),
      reason,
      ...(detail === "" ? {} : { detail }),
      up: { ...session.up },
      down: { ...session.down },
      dropped: session.dropped,
    });
    log.info({ session: session.id, client: session.client, reason, detail }, "session ended");
    return true;
  }
}

function lossReason(info: CloseInfo): EndReason {
  switch (info.source) {
    case "idle-timeout":
      return "idle";
    case "peer-application":
      return "client";
    case "local":
      // What the relay itself ends has ended before. What is left is HTTP/3, which closes when its peer breaks it.
      return "protocol-error";
    default:
      return "lost";
  }
}
