/**
 * The sessions that are open: where they are found, when one ends and why.
 *
 *   open ▸ tables ▸ its control stream (`session-control.ts`) ▸ reports (`session-reports.ts`)
 *   renew ▸ another certificate, which the session lasts as long as
 *   policyChanged ▸ `policy-followers.ts`
 *   end, lost ▸ tables, lease ▸ the rest in turns (`session-endings.ts`); what ended already stays ended
 */
import type { Logger } from "pino";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { CloseInfo } from "../shared/native/quic.ts";
import type { Limits } from "../shared/policy/document.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { unixMs } from "../shared/units.ts";
import type { UnixMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { ClientBudgets } from "./client-budgets.ts";
import type { ClientBudget } from "./client-budgets.ts";
import type { Counters } from "./counters.ts";
import type { FlowAudit } from "./flow-audit.ts";
import type { LeasePool } from "./lease-pool.ts";
import type { LivePolicy } from "./live-policy.ts";
import { PolicyFollowers } from "./policy-followers.ts";
import { RouteBook } from "./route-book.ts";
import { SessionControl } from "./session-control.ts";
import type { SessionEnds } from "./session-control.ts";
import { SessionEndings } from "./session-endings.ts";
import type { Ending } from "./session-endings.ts";
import { SessionReports } from "./session-reports.ts";
import { SessionTable } from "./session-table.ts";
import type { EndReason, Session } from "./session.ts";
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

export class SessionRegistry implements SessionEnds {
  readonly #parts: RegistryParts;
  readonly #table = new SessionTable<Session>();
  readonly #controls = new Map<Session, SessionControl>();
  readonly #budgets = new ClientBudgets();
  readonly #reports: SessionReports;
  readonly #routes: RouteBook;
  readonly #followers: PolicyFollowers;
  readonly #endings: SessionEndings;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#reports = new SessionReports(parts.log, parts.audit, parts.counters);
    this.#endings = new SessionEndings(parts.flowAudit, this.#reports);
    this.#routes = new RouteBook(parts.live);
    this.#followers = new PolicyFollowers({
      live: parts.live,
      sessions: this,
      ends: this,
      advertise: (session) => this.#controls.get(session)?.advertise(),
    });
  }

  get size(): number {
    return this.#table.size;
  }

  /** Those that are open, and those whose end is not done. */
  get held(): number {
    return this.#table.size + this.#endings.size;
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

  /** The client's sessions, oldest first. */
  ofClient(client: string): ReadonlySet<Session> {
    return this.#table.ofClient(client);
  }

  /** What the client may do in all its sessions, those that are over included. */
  budgetOf(client: string, limits: Limits): ClientBudget {
    return this.#budgets.of(client, limits);
  }

  /** To be called now and then: forgets what is worth nothing any more. */
  forgetBudgets(nowMs: number): void {
    this.#budgets.forget(nowMs, (client) => this.#table.ofClient(client).size > 0);
  }

  /** Ends the client's oldest sessions until it has fewer than `limit`: the newest one is the one that lives. */
  makeRoomFor(client: string, limit: number): void {
    const sessions = [...this.#table.ofClient(client)];
    for (const session of sessions.slice(0, Math.max(0, sessions.length - limit + 1))) {
      this.end(session, "replaced", CLOSE_CODE.REPLACED, "the same client opened a newer session");
    }
  }

  /** Takes over a session whose control request was just answered with 200. */
  open(session: Session): void {
    this.#table.add(session);
    this.#parts.flowAudit.follow(session);
    const control = new SessionControl(session, { uplink: this.#parts.uplink, routes: this.#routes, ends: this });
    this.#controls.set(session, control);
    control.open();
    this.#reports.opened(session);
  }

  /** Ends a session: nothing of it passes from now on, and its peer is told `code` and `detail`. Idempotent. */
  end(session: Session, reason: EndReason, code: number, detail: string): void {
    this.#remove({ session, reason, code, detail });
  }

  /** Ends a session that met a fault of ours: the others go on. */
  fail(session: Session, error: unknown): void {
    this.#reports.failed(session, error);
    this.end(session, "internal-error", HTTP3_CODE.H3_INTERNAL_ERROR, "the relay failed");
  }

  /** The connection of a session is gone. */
  lost(session: Session, info: CloseInfo): void {
    this.#remove({ session, reason: lossReason(info), code: undefined, detail: info.reason });
  }

  /** Ends all of them, at once: the relay goes down. */
  endAll(reason: EndReason, code: number, detail: string): void {
    for (const session of [...this.#table]) this.end(session, reason, code, detail);
    this.#endings.finish();
  }

  /**
   * Takes a certificate, DER, that the client was just issued on the session's connection. Its serial number when the
   * session stands on it from now on, and lasts as long as it does.
   */
  renew(session: Session, leafDer: Uint8Array): string | undefined {
    const { certificates } = session;
    const replaced = certificates.current.serial;
    if (session.ended || !certificates.renew(leafDer, unixMs(Date.now()))) return undefined;
    this.#reports.renewed(session, replaced);
    return certificates.current.serial;
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
    this.#followers.changed();
  }

  #remove(ending: Ending): void {
    const { session } = ending;
    if (session.ended) return;
    session.ended = true;
    this.#table.remove(session);
    this.#controls.delete(session);
    this.#parts.pool.release(session.lease);
    this.#endings.add(ending);
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
