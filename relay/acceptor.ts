/**
 * From a QUIC connection to a session: the relay's HTTP front.
 *
 *   connection ▸ identity of the verified leaf ▸ requests:
 *     CONNECT connect-ip  ▸ policy, limits, lease ▸ 200, ADDRESS_ASSIGN, ROUTE_ADVERTISEMENT: a session
 *     CONNECT zgate-lane  ▸ a lane of that session
 *     POST /v1/renew      ▸ a new certificate for the client and its session, where the relay has an authority
 *     anything else       ▸ 404, 405, 501
 *
 * A refusal is an answer with a status and a `zgate-reason`, an audit record and a counter.
 */
import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { ZgateError } from "../shared/errors.ts";
import { Http3Connection } from "../shared/http3/connection.ts";
import { fieldValue } from "../shared/http3/fields.ts";
import type { Field } from "../shared/http3/fields.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import type { QuicConnection } from "../shared/native/quic.ts";
import type { EnrolmentService } from "../shared/pki/enrolment-service.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { answerFields, maxFrameLength, negotiate } from "../shared/tunnel/negotiation.ts";
import type { SessionAgreement, SessionOffer } from "../shared/tunnel/negotiation.ts";
import { LaneSender } from "../shared/tunnel/lane-sender.ts";
import { parseConnectIpPath, parseLanePath } from "../shared/tunnel/request-path.ts";
import { unixMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { LaneCarrier } from "./carrier.ts";
import {
  CONTROL_TIMEOUT_MS,
  DEFAULT_CLIENT_SESSIONS,
  DRAIN_RETRY_AFTER_S,
  MAX_SESSION_CERTIFICATES,
  POOL_RETRY_AFTER_S,
} from "./constants.ts";
import { COUNTER, frameErrorCounter, handshakeCounter } from "./counters.ts";
import type { CounterName, Counters } from "./counters.ts";
import { DatagramCarrier } from "./datagram-carrier.ts";
import { answerRenewal, isRenewal } from "./enrolment.ts";
import { Identities } from "./identities.ts";
import type { Lease, LeasePool } from "./lease-pool.ts";
import type { LivePolicy } from "./live-policy.ts";
import type { Revocations } from "./revocations.ts";
import { Session } from "./session.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { Uplink } from "./uplink.ts";
import { WaitingConnections } from "./waiting-connections.ts";

export interface AcceptorParts {
  readonly log: Logger;
  readonly live: LivePolicy;
  readonly pool: LeasePool;
  readonly sessions: SessionRegistry;
  readonly uplink: Uplink;
  readonly counters: Counters;
  readonly audit: AuditLog;
  readonly offer: SessionOffer;
  readonly maxSessions: number;
  readonly revocations: Revocations;
  /** The authority, where the relay has one. */
  readonly enrolment: EnrolmentService | undefined;
}

/** An answer that is not 200. */
class Refusal extends Error {
  readonly status: number;
  readonly counter: CounterName<"sessionsRefused">;
  readonly retryAfterS: number | undefined;

  constructor(status: number, counter: CounterName<"sessionsRefused">, reason: string, retryAfterS?: number) {
    super(reason);
    this.status = status;
    this.counter = counter;
    this.retryAfterS = retryAfterS;
  }
}

/** A connection on its way: who it is of, and the session when there is one. */
interface Visit {
  readonly http3: Http3Connection;
  /** A sentence instead, when the certificate names no client. */
  readonly identity: Identity | string;
  session: Session | undefined;
  /** A request for a new certificate is being answered. */
  renewing: boolean;
  /** Called when it has its session, or ends without one. */
  readonly settled: () => void;
}

export class Acceptor {
  readonly #parts: AcceptorParts;
  readonly #identities = new Identities();
  readonly #waiting = new WaitingConnections();
  /** Set when the relay goes down: nothing new is taken. */
  draining = false;

  constructor(parts: AcceptorParts) {
    this.#parts = parts;
  }

  accept(quic: QuicConnection): void {
    this.#parts.counters.add(handshakeCounter(quic.keyExchangeGroup));
    const identity = this.#identities.of(quic.peerChainDer);
    const settled = this.#waiting.enter(typeof identity === "string" ? "" : identity.name);
    if (settled === undefined) {
      this.#parts.counters.add(COUNTER.sessionsRefused["over-limit"]);
      quic.close(HTTP3_CODE.H3_EXCESSIVE_LOAD, "too many connections of this client have no session");
      return;
    }
    const http3 = new Http3Connection(quic, "server");
    const visit: Visit = { http3, identity, session: undefined, renewing: false, settled };
    const late = setTimeout(() => {
      if (visit.session === undefined) http3.close(HTTP3_CODE.H3_NO_ERROR, "no session was opened in time");
    }, CONTROL_TIMEOUT_MS);
    http3.onRequest = (stream) => this.#request(visit, stream);
    void http3.closed.then((info) => {
      clearTimeout(late);
      settled();
      if (visit.session !== undefined) this.#parts.sessions.lost(visit.session, info);
    });
  }

  #request(visit: Visit, stream: Http3Stream): void {
    const protocol = stream.field(":protocol");
    try {
      if (protocol === "connect-ip") this.#openSession(visit, stream);
      else if (protocol === "zgate-lane") this.#openLane(visit, stream);
      else if (isRenewal(stream)) this.#renew(visit, stream);
      else stream.respond(stream.field(":method") === "CONNECT" ? 501 : 404, [], { end: true });
    } catch (error) {
      if (error instanceof Refusal) {
        this.#refuse(visit, stream, error, refusedPart(protocol));
      } else {
        this.#fail(visit, error);
      }
    }
  }

  /** A fault of ours, which this connection shall bear alone. */
  #fail(visit: Visit, error: unknown): void {
    if (visit.session !== undefined) {
      this.#parts.sessions.fail(visit.session, error);
      return;
    }
    this.#parts.log.error(
      { err: error, remote: visit.http3.quic.remote },
      "a connection failed by a fault of the relay",
    );
    visit.http3.close(HTTP3_CODE.H3_INTERNAL_ERROR, "the relay failed");
  }

  #openSession(visit: Visit, control: Http3Stream): void {
    const { live, sessions, audit, maxSessions, offer, counters } = this.#parts;
    if (visit.session !== undefined) throw new Refusal(429, "over-limit", "this connection has a session already");
    if (this.draining) throw new Refusal(503, "draining", "the relay is going down", DRAIN_RETRY_AFTER_S);
    if (audit.refusesTraffic) {
      throw new Refusal(503, "audit-fail-closed", "the relay cannot write its audit log", POOL_RETRY_AFTER_S);
    }
    const { identity } = visit;
    if (typeof identity === "string") throw new Refusal(403, "bad-identity", identity);
    const { peerChainDer: chain } = visit.http3.quic;
    const revoked = this.#parts.revocations.reasonAgainst({ identities: [identity], chain });
    if (revoked !== undefined) throw new Refusal(403, "revoked", revoked);
    const agreement = agree(control, offer);
    const policy = live.current.client(identity.name);
    if (policy === undefined) {
      throw new Refusal(403, "unknown-client", `the policy does not know the client ${identity.name}`);
    }
    if (!policy.enabled)
      throw new Refusal(403, "disabled-client", `the policy has the client ${identity.name} disabled`);
    sessions.makeRoomFor(identity.name, policy.limits.maxSessions ?? DEFAULT_CLIENT_SESSIONS);
    if (sessions.held >= maxSessions) {
      throw new Refusal(429, "over-limit", `the relay has its ${maxSessions} sessions`, POOL_RETRY_AFTER_S);
    }
    const session = new Session({
      id: randomBytes(8).toString("hex"),
      identity,
      lease: this.#lease(identity.name, policy.limits.maxSessions ?? DEFAULT_CLIENT_SESSIONS),
      agreement,
      http3: visit.http3,
      control,
      carrier: agreement.lanes > 0 ? new LaneCarrier(agreement.lanes) : new DatagramCarrier(control),
      judge: { policy, compiled: live.current, generation: live.generation },
      budget: sessions.budgetOf(identity.name, policy.limits),
    });
    control.respond(200, [["capsule-protocol", "?1"], ...answerFields(agreement)]);
    visit.session = session;
    visit.settled();
    counters.add(COUNTER.sessions[session.protocol]);
    sessions.open(session);
  }

  #lease(client: string, limit: number): Lease {
    try {
      return this.#parts.pool.lease(client, limit);
    } catch (error) {
      if (!(error instanceof ZgateError)) throw error;
      if (error.code === "ZG_POOL_EMPTY") throw new Refusal(503, "pool-empty", error.message, POOL_RETRY_AFTER_S);
      throw new Refusal(429, "over-limit", error.message);
    }
  }

  #openLane(visit: Visit, stream: Http3Stream): void {
    const { session } = visit;
    if (session === undefined) throw new Refusal(400, "malformed", "a lane needs a session: send connect-ip first");
    const lane = parseLanePath(stream.field(":path") ?? "");
    const { carrier, agreement } = session;
    if (lane === undefined || lane >= agreement.lanes || !(carrier instanceof LaneCarrier)) {
      throw new Refusal(400, "malformed", `${agreement.lanes} lanes were agreed: the path is /lane/0 and so on`);
    }
    if (carrier.hasLane(lane)) throw new Refusal(409, "lane-taken", `lane ${lane} is open already`);
    stream.respond(200);
    carrier.openLane(lane, new LaneSender(stream));
    const { sessions, uplink, counters } = this.#parts;
    uplink.attach(session, stream, maxFrameLength(agreement), {
      onEnded: (reason) => sessions.end(session, "client", HTTP3_CODE.H3_NO_ERROR, `lane ${lane}: ${reason}`),
      onBroken: (reason) => {
        counters.add(frameErrorCounter(reason));
        sessions.end(session, "protocol-error", HTTP3_CODE.H3_MESSAGE_ERROR, `lane ${lane}: ${reason}`);
      },
      onFailed: (error) => sessions.fail(session, error),
    });
  }

  #renew(visit: Visit, stream: Http3Stream): void {
    const { enrolment, revocations, sessions } = this.#parts;
    const { identity, session } = visit;
    if (enrolment === undefined) throw new Refusal(404, "malformed", "this relay has no authority that could renew");
    if (typeof identity === "string") throw new Refusal(403, "bad-identity", identity);
    const { peerChainDer, remote } = visit.http3.quic;
    const revoked = revocations.reasonAgainst(session?.certificates ?? { identities: [identity], chain: peerChainDer });
    if (revoked !== undefined) throw new Refusal(403, "revoked", revoked);
    if (visit.renewing) throw new Refusal(429, "over-limit", "a renewal of this connection is in progress");
    if (session?.certificates.isFull(unixMs(Date.now())) === true) {
      throw new Refusal(429, "over-limit", `this session has ${MAX_SESSION_CERTIFICATES} certificates that are valid`);
    }
    visit.renewing = true;
    const peer = session?.certificates.current ?? identity;
    const take = (leafDer: Uint8Array): string | undefined =>
      visit.session === undefined ? undefined : sessions.renew(visit.session, leafDer);
    void answerRenewal(enrolment, stream, { peer, remote, take }).finally(() => (visit.renewing = false));
  }

  #refuse(visit: Visit, stream: Http3Stream, refusal: Refusal, what: RefusedPart): void {
    const { counters, audit, log } = this.#parts;
    const identity = typeof visit.identity === "string" ? undefined : visit.identity;
    counters.add(COUNTER.sessionsRefused[refusal.counter]);
    const { remote } = visit.http3.quic;
    const told = audit.refusal({
      what,
      remote,
      ...(identity === undefined ? {} : { client: identity.name, serial: identity.serial }),
      code: refusal.status,
      reason: refusal.message,
    });
    if (told) {
      log.warn({ remote, client: identity?.name, status: refusal.status }, `${what} refused: ${refusal.message}`);
    }
    const fields: Field[] = [["zgate-reason", printable(refusal.message)]];
    if (refusal.retryAfterS !== undefined) fields.push(["retry-after", String(refusal.retryAfterS)]);
    stream.respond(refusal.status, fields, { end: true });
  }
}

type RefusedPart = "session" | "lane" | "renewal";

function refusedPart(protocol: string | undefined): RefusedPart {
  if (protocol === undefined) return "renewal";
  return protocol === "zgate-lane" ? "lane" : "session";
}

function agree(control: Http3Stream, offer: SessionOffer): SessionAgreement {
  const path = parseConnectIpPath(fieldValue(control.request, ":path") ?? "");
  if (!path.ok) throw new Refusal(400, "malformed", path.reason);
  if (path.scope.target !== undefined || path.scope.ipProtocol !== undefined) {
    throw new Refusal(400, "malformed", "sessions are not limited by their path: the policy does that; use */*");
  }
  const result = negotiate(control.request, offer);
  if (!result.ok) throw new Refusal(400, "malformed", result.reason);
  return result.agreement;
}

/** What a field value may hold (RFC 9110 section 5.5). */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?");
}
