/**
 * What the audit is told of flows: a denied one when it begins (programs repeat it, the audit limits it), an
 * allowed one when it ends, with what passed.
 *
 * The flows of a session may be thousands: they end in turns, so that other sessions' packets do not wait.
 */
import { formatAddress } from "../shared/packet/address.ts";
import type { Verdict } from "../shared/policy/compiled-policy.ts";
import { unixMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { ENDING_SESSIONS, FLOWS_ENDED_A_TURN } from "./constants.ts";
import { COUNTER } from "./counters.ts";
import type { Counters } from "./counters.ts";
import { unpackVerdict } from "./flow-verdict.ts";
import type { Session } from "./session.ts";
import type { ShadowPolicy } from "./shadow-policy.ts";

export class FlowAudit {
  readonly #audit: AuditLog;
  readonly #counters: Counters;
  readonly #shadow: ShadowPolicy | undefined;
  /** Sessions that are over and have flows that are not. */
  readonly #ending: Session[] = [];
  /** Sessions that may have idle flows, and the time by which those are. */
  readonly #expiring: Session[] = [];
  #expiringMs = 0;

  constructor(audit: AuditLog, counters: Counters, shadow: ShadowPolicy | undefined) {
    this.#audit = audit;
    this.#counters = counters;
    this.#shadow = shadow;
  }

  /** The audit cannot be written, and the relay is set to pass nothing new then. */
  get refusesTraffic(): boolean {
    return this.#audit.refusesTraffic;
  }

  /** A new flow was denied, or one in progress was cut. */
  denied(session: Session, slot: number): void {
    const verdict = unpackVerdict(session.flows.verdict(slot), session.judge.compiled);
    if (verdict.log !== false) this.#record(session, slot, verdict);
  }

  /** Follows the flows of a session that opens. */
  follow(session: Session): void {
    session.onCut = (slot) => {
      this.#counters.add(COUNTER.flows.cut);
      this.denied(session, slot);
    };
    session.flows.onEvicted = (slot) => {
      this.#counters.add(COUNTER.flows.evicted);
      this.#ended(session, slot);
    };
  }

  /**
   * Ends flows that have been idle for too long; when they are many, the rest soon. To be called now and then: what is
   * left of the last time goes first, so that each session has its turn.
   */
  expire(sessions: Iterable<Session>, nowMs: number): void {
    if (this.#expiring.length > 0) return;
    for (const session of sessions) if (session.flows.isDue(nowMs)) this.#expiring.push(session);
    this.#expiringMs = nowMs;
    this.#expireSome();
  }

  /** Whether the flows of one more session can wait for their end. */
  get hasRoom(): boolean {
    return this.#ending.length < ENDING_SESSIONS;
  }

  /** The session has ended, and with it every flow; when they are many, the rest soon. */
  endAll(session: Session): void {
    if (this.#end(session, FLOWS_ENDED_A_TURN)) return;
    if (this.#ending.push(session) === 1) setImmediate(() => this.#turn());
  }

  /** Ends what is left of the flows of sessions that are over. */
  finish(): void {
    for (const session of this.#ending.splice(0)) this.#end(session);
  }

  /** One turn of `expire`. */
  #expireSome(): void {
    for (let left = FLOWS_ENDED_A_TURN; left > 0;) {
      const session = this.#expiring.at(-1);
      if (session === undefined) return;
      if (!session.ended) left = session.flows.expire(this.#expiringMs, (slot) => this.#expired(session, slot), left);
      if (left > 0) this.#expiring.pop();
    }
    setImmediate(() => this.#expireSome());
  }

  #expired(session: Session, slot: number): void {
    this.#counters.add(COUNTER.flows.expired);
    this.#ended(session, slot);
  }

  #turn(): void {
    const session = this.#ending[0];
    if (session === undefined) return;
    if (this.#end(session, FLOWS_ENDED_A_TURN)) this.#ending.shift();
    setImmediate(() => this.#turn());
  }

  #end(session: Session, limit?: number): boolean {
    return session.flows.clear((slot) => this.#ended(session, slot), limit);
  }

  #ended(session: Session, slot: number): void {
    session.fragmentsUp.forget(slot);
    session.fragmentsDown.forget(slot);
    const verdict = unpackVerdict(session.verdict(slot), session.judge.compiled);
    if (verdict.action === "allow" && verdict.log !== false) this.#record(session, slot, verdict);
  }

  #record(session: Session, slot: number, verdict: Verdict): void {
    const flow = session.flows.describe(slot);
    const shadow = this.#shadow?.difference(session.client, session.flows.target(slot), verdict);
    const monotonicToUnix = Date.now() - performance.now();
    this.#audit.flow({
      session: session.id,
      client: session.client,
      start: unixMs(monotonicToUnix + flow.firstMs),
      end: unixMs(monotonicToUnix + flow.lastMs),
      protocol: flow.protocol,
      src: formatAddress(flow.version, ...flow.src),
      dst: formatAddress(flow.version, ...flow.dst),
      ...(flow.hasPorts ? { srcPort: flow.srcPort, dstPort: flow.dstPort } : {}),
      ...(flow.icmpType >= 0 ? { icmpType: flow.icmpType } : {}),
      up: { packets: flow.upPackets, bytes: flow.upBytes },
      down: { packets: flow.downPackets, bytes: flow.downBytes },
      action: verdict.action,
      rule: verdict.ruleId,
      reason: verdict.reason,
      generation: session.judge.generation,
      ...(shadow === undefined ? {} : { shadow }),
    });
  }
}
