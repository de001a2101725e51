/**
 * One authenticated agent on one QUIC connection, from its control stream's 200 to its end.
 *
 *   opening (`acceptor.ts`) ─▶ open ─▶ ended: told to the peer, taken from the tables, written to the audit
 */
import type { Http3Connection } from "../shared/http3/connection.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import { formatAddress } from "../shared/packet/address.ts";
import type { Identity } from "../shared/pki/identity.ts";
import type { ClientPolicy, CompiledPolicy } from "../shared/policy/compiled-policy.ts";
import { LaneTurns } from "../shared/tunnel/lane-pump.ts";
import type { SessionAgreement } from "../shared/tunnel/negotiation.ts";
import { unixMs } from "../shared/units.ts";
import type { UnixMs } from "../shared/units.ts";
import type { SessionStatus } from "./admin.ts";
import type { Carrier } from "./carrier.ts";
import type { ClientBudget } from "./client-budgets.ts";
import { ANSWERS_BURST, ANSWERS_PER_SECOND } from "./constants.ts";
import type { CounterName } from "./counters.ts";
import { FlowTable } from "./flow-table.ts";
import { isAllowed } from "./flow-verdict.ts";
import { FragmentTable } from "./fragment-table.ts";
import type { Lease } from "./lease-pool.ts";
import type { RateLimit } from "./rate-limit.ts";
import { SessionCertificates } from "./session-certificates.ts";
import { TokenBucket } from "./token-bucket.ts";

/** A policy as it stands for one client. */
export interface Judge {
  readonly policy: ClientPolicy;
  /** The whole policy, whose verdicts the flow table keeps. */
  readonly compiled: CompiledPolicy;
  readonly generation: number;
}

export interface SessionParts {
  readonly id: string;
  readonly identity: Identity;
  readonly lease: Lease;
  readonly agreement: SessionAgreement;
  readonly http3: Http3Connection;
  readonly control: Http3Stream;
  readonly carrier: Carrier;
  readonly judge: Judge;
  readonly budget: ClientBudget;
}

/** Why a session ended: the counter's and the audit's word for it. */
export type EndReason = CounterName<"sessionsEnded">;

/** Packets and bytes of inner packets; plain numbers, because they change with every packet. */
export class Traffic {
  packets = 0;
  bytes = 0;
}

export class Session {
  readonly id: string;
  readonly client: string;
  readonly certificates: SessionCertificates;
  readonly lease: Lease;
  readonly agreement: SessionAgreement;
  readonly http3: Http3Connection;
  readonly control: Http3Stream;
  readonly carrier: Carrier;
  readonly flows: FlowTable;
  /** Told of a flow that was allowed and is not any more: its slot. */
  onCut: ((slot: number) => void) | undefined;
  /** The client's rate limits, for all its sessions together. */
  readonly rate: RateLimit;
  readonly startedAt: UnixMs = unixMs(Date.now());
  readonly remote: string;
  /** From the client. */
  readonly up = new Traffic();
  /** To the client. */
  readonly down = new Traffic();
  /** Packets of this session that were dropped, either way. */
  dropped = 0;
  ended = false;
  /** Its lanes share them. */
  readonly turns = new LaneTurns();
  readonly fragmentsUp = new FragmentTable();
  readonly fragmentsDown = new FragmentTable();
  /** How many answers of the relay's own the client may cause. */
  readonly answers = new TokenBucket(ANSWERS_PER_SECOND, ANSWERS_BURST);
  /** How many flows the client may open, in all its sessions. */
  readonly newFlows: TokenBucket;
  /** The downlink has frames for this session that it has not flushed. */
  touched = false;
  #judge: Judge;

  constructor(parts: SessionParts) {
    this.id = parts.id;
    this.client = parts.identity.name;
    this.certificates = new SessionCertificates(parts.identity, parts.http3.quic.peerChainDer);
    this.lease = parts.lease;
    this.agreement = parts.agreement;
    this.http3 = parts.http3;
    this.control = parts.control;
    this.carrier = parts.carrier;
    this.flows = new FlowTable();
    this.#judge = parts.judge;
    this.rate = parts.budget.rate;
    this.newFlows = parts.budget.newFlows;
    this.remote = parts.http3.quic.remote;
  }

  /** What judges its flows. */
  get judge(): Judge {
    return this.#judge;
  }

  /** Has another judge, or the same at another time: what it says holds for the next packet of every flow. */
  follow(judge: Judge): void {
    this.#judge = judge;
    this.rate.follow(judge.policy.limits);
    this.flows.doubt();
  }

  /** The judge's verdict on a flow in progress (`flow-verdict.ts`). */
  verdict(slot: number): number {
    return this.flows.isJudged(slot) ? this.flows.verdict(slot) : this.#rejudge(slot);
  }

  /** Judges flows that have had no packet since the judge changed, at most `limit`. Returns how many it judged. */
  sweep(limit: number): number {
    return this.flows.sweep((slot) => void this.#rejudge(slot), limit);
  }

  get protocol(): "zgate" | "connect-ip" {
    return this.agreement.lanes > 0 ? "zgate" : "connect-ip";
  }

  #rejudge(slot: number): number {
    const wasAllowed = isAllowed(this.flows.verdict(slot));
    const verdict = this.#judge.policy.decide(this.flows.target(slot), unixMs(Date.now()));
    this.flows.judge(slot, verdict);
    if (wasAllowed && !isAllowed(verdict)) this.onCut?.(slot);
    return verdict;
  }

  status(): SessionStatus {
    const { quic } = this.http3;
    const { serial, notAfter } = this.certificates.current;
    return {
      id: this.id,
      client: this.client,
      remote: quic.remote,
      serial,
      notAfter: new Date(notAfter).toISOString(),
      ipv4: formatAddress(4, ...this.lease.ipv4),
      ipv6: formatAddress(6, ...this.lease.ipv6),
      since: new Date(this.startedAt).toISOString(),
      group: quic.keyExchangeGroup,
      cipher: quic.cipherSuite,
      protocol: this.protocol,
      lanes: this.agreement.lanes,
      flows: this.flows.size,
      rttMs: quic.stats().rttMs,
      up: { ...this.up },
      down: { ...this.down },
      dropped: this.dropped,
    };
  }
}
