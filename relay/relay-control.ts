/** What an administrator may ask of the relay and tell it: the `AdminTarget` of the running relay. */
import packageJson from "../package.json" with { type: "json" };
import { ZgateError } from "../shared/errors.ts";
import { parseAddress } from "../shared/packet/address.ts";
import { unixMs } from "../shared/units.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import type { Acceptor } from "./acceptor.ts";
import type {
  AdminTarget,
  ExplainAnswer,
  ExplainQuestion,
  Health,
  RelayStatus,
  ReloadAnswer,
  SessionStatus,
} from "./admin.ts";
import type { AuditLog } from "./audit-log.ts";
import type { Counters } from "./counters.ts";
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
    const { acceptor, sessions, pool, live, audit } = this.#parts;
    const { lost, head } = audit.stats();
    return {
      version: packageJson.version,
      startedAt: this.#startedAt.toISOString(),
      draining: acceptor.draining,
      sessions: sessions.size,
      leases: { active: pool.active, capacity: pool.capacity },
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
    return { applied: outcome.applied, generation: outcome.generation, changes: [], problems };
  }

  explain(question: ExplainQuestion): ExplainAnswer {
    const { live } = this.#parts;
    const policy = live.current.client(question.client);
    const { version, words } = parseAddress(question.dst);
    const [dst0, dst1, dst2, dst3] = words;
    const protocol = protocolNumber(question.proto, version);
    const hasPorts = question.port !== undefined;
    const at = question.at === undefined ? Date.now() : Date.parse(question.at);
    if (Number.isNaN(at)) throw new ZgateError("ZG_CONFIG_INVALID", `"${question.at}" is no time: expected RFC 3339`);
    const target = {
      version,
      protocol,
      dst0,
      dst1,
      dst2,
      dst3,
      hasPorts,
      dstPort: question.port ?? 0,
      icmpType: question.icmpType ?? -1,
    };
    const verdict = policy === undefined ? live.current.refusal : policy.judge(target, unixMs(at));
    const { action, ruleId, reason } = verdict;
    return { action, ruleId, reason, generation: live.generation, passed: [], flows: [] };
  }

  metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    return this.#metrics.render();
  }

  #gauges(): RelayGauges {
    const { sessions, pool, live, acceptor, audit } = this.#parts;
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
      auditHealthy: audit.healthy,
      audit: audit.stats(),
    };
  }
}

const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["tcp", 6],
  ["udp", 17],
  ["icmpv6", 58],
]);

function protocolNumber(name: string, version: 4 | 6): number {
  if (name === "icmp") return version === 4 ? 1 : 58;
  const number = PROTOCOLS.get(name) ?? (/^\d{1,3}$/.test(name) ? Number(name) : 256);
  if (number > 255)
    throw new ZgateError("ZG_CONFIG_INVALID", `"${name}" is no protocol: expected tcp, udp, icmp, icmpv6 or 0 to 255`);
  return number;
}
