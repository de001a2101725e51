/** What an administrator may ask of the relay and tell it: the `AdminTarget` of the running relay. */
import packageJson from "../package.json" with { type: "json" };
import { formatAddress } from "../shared/packet/address.ts";
import type { FlowTarget } from "../shared/packet/flow.ts";
import { readQuestion } from "../shared/policy/explain.ts";
import { unixMs } from "../shared/units.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import type { DeviceStatus } from "../shared/tunnel/offload-report.ts";
import type { Acceptor } from "./acceptor.ts";
import type {
  AdminTarget,
  ExplainAnswer,
  ExplainQuestion,
  FlowStatus,
  Health,
  RelayStatus,
  ReloadAnswer,
  SessionStatus,
} from "./admin.ts";
import type { AuditLog } from "./audit-log.ts";
import { EXPLAIN_FLOWS } from "./constants.ts";
import type { Counters } from "./counters.ts";
import { isAllowed } from "./flow-verdict.ts";
import type { LeasePool } from "./lease-pool.ts";
import type { LivePolicy } from "./live-policy.ts";
import { RelayMetrics } from "./metrics.ts";
import type { RelayGauges } from "./metrics.ts";
import type { PolicyReports } from "./policy-reports.ts";
import type { SessionRegistry } from "./session-registry.ts";

export interface ControlParts {
  readonly live: LivePolicy;
  readonly pool: LeasePool;
  readonly sessions: SessionRegistry;
  readonly counters: Counters;
  readonly audit: AuditLog;
  readonly reports: PolicyReports;
  readonly acceptor: Acceptor;
  readonly device: () => DeviceStatus;
}

export class RelayControl implements AdminTarget {
  readonly #parts: ControlParts;
  readonly #startedAt = new Date();
  readonly #metrics: RelayMetrics;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    const { counters } = parts;
    this.#metrics = new RelayMetrics({ version: packageJson.version, counters, gauges: () => this.#gauges() });
  }

  health(): Health {
    const { acceptor, audit, reports } = this.#parts;
    const problems: string[] = [];
    if (acceptor.draining) problems.push("the relay is draining");
    if (!audit.healthy) problems.push(`the audit log fails: ${audit.unhealthyReason}`);
    if (reports.refusal !== undefined)
      problems.push(`the policy file was refused, an older one is in force: ${reports.refusal}`);
    return { ready: !acceptor.draining && !audit.refusesTraffic, problems };
  }

  status(): RelayStatus {
    const { acceptor, sessions, pool, live, audit, device } = this.#parts;
    const { lost, head } = audit.stats();
    return {
      version: packageJson.version,
      startedAt: this.#startedAt.toISOString(),
      draining: acceptor.draining,
      sessions: sessions.size,
      leases: { active: pool.active, capacity: pool.capacity },
      device: device(),
      policy: { generation: live.generation, files: live.files },
      audit: { healthy: audit.healthy, lost, head },
    };
  }

  *sessions(client: string | undefined): Iterable<SessionStatus> {
    const { sessions } = this.#parts;
    for (const session of client === undefined ? sessions : sessions.ofClient(client)) yield session.status();
  }

  disconnect(id: string): boolean {
    const { sessions } = this.#parts;
    const session = sessions.byId(id);
    if (session === undefined) return false;
    sessions.end(session, "admin", CLOSE_CODE.ADMIN, "an administrator ended the session");
    return true;
  }

  async reloadPolicy(): Promise<ReloadAnswer> {
    const outcome = await this.#parts.live.reload("admin");
    const problems = outcome.applied ? [] : (this.#parts.reports.refusal?.split("\n") ?? []);
    return {
      applied: outcome.applied,
      generation: outcome.generation,
      changes: outcome.applied ? this.#parts.reports.changes : [],
      problems,
    };
  }

  async explain(question: ExplainQuestion): Promise<ExplainAnswer> {
    const { live } = this.#parts;
    const now = unixMs(Date.now());
    const { target } = readQuestion(question, now);
    const explanation = await live.explain(question, now);
    return { ...explanation, generation: live.generation, flows: this.#flowsTo(question.client, target) };
  }

  metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    return this.#metrics.render();
  }

  /** The client's flows to that destination and port that are in progress. */
  #flowsTo(client: string, asked: FlowTarget): FlowStatus[] {
    const found: FlowStatus[] = [];
    for (const session of this.#parts.sessions.ofClient(client)) {
      session.flows.forEach((slot) => {
        if (found.length >= EXPLAIN_FLOWS || !isSameTarget(session.flows.target(slot), asked)) return;
        const flow = session.flows.describe(slot);
        found.push({
          session: session.id,
          src: formatAddress(flow.version, ...flow.src),
          srcPort: flow.srcPort,
          state: isAllowed(session.verdict(slot)) ? "allowed" : "denied",
          idleMs: Math.round(performance.now() - flow.lastMs),
          up: { packets: flow.upPackets, bytes: flow.upBytes },
          down: { packets: flow.downPackets, bytes: flow.downBytes },
        });
      });
    }
    return found;
  }

  #gauges(): RelayGauges {
    const { sessions, pool, live, acceptor, audit, device } = this.#parts;
    const { tso4, tso6, uso4, uso6 } = device();
    let lanes = 0;
    let flows = 0;
    for (const session of sessions) {
      lanes += session.agreement.lanes;
      flows += session.flows.size;
    }
    return {
      sessions: sessions.size,
      lanes,
      flows,
      leases: pool.active,
      leaseCapacity: pool.capacity,
      policyGeneration: live.generation,
      draining: acceptor.draining,
      tso: tso4 && tso6,
      uso: uso4 && uso6,
      auditHealthy: audit.healthy,
      audit: audit.stats(),
    };
  }
}

function isSameTarget(one: FlowTarget, other: FlowTarget): boolean {
  return (
    one.version === other.version &&
    one.protocol === other.protocol &&
    one.dst0 === other.dst0 &&
    one.dst1 === other.dst1 &&
    one.dst2 === other.dst2 &&
    one.dst3 === other.dst3 &&
    one.dstPort === other.dstPort
  );
}
