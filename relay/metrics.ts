/**
 * What Prometheus reads: the counters of `counters.ts` and some gauges, taken when it asks and not before.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { AuditStats } from "./audit-log.ts";
import { LOOP_LAG_SAMPLE_MS } from "./constants.ts";
import { COUNTER, type CounterIndex, type Counters, FAMILIES, type FamilyName } from "./counters.ts";

/** Where the figures come from. `gauges` is called once a scrape. */
export interface MetricsSource {
  readonly version: string;
  readonly counters: Counters;
  gauges(): RelayGauges;
}

export interface RelayGauges {
  readonly sessions: number;
  readonly lanes: number;
  readonly flows: number;
  readonly leases: number;
  readonly leaseCapacity: number;
  readonly policyGeneration: number;
  readonly draining: boolean;
  /** TCP super-packets of both families, and UDP ones. */
  readonly tso: boolean;
  readonly uso: boolean;
  readonly auditHealthy: boolean;
  readonly audit: AuditStats;
}

/** Gauges of the relay: name, help, and how to read them. */
const GAUGES: readonly (readonly [name: string, help: string, read: (gauges: RelayGauges) => number])[] = [
  ["zgate_sessions", "Sessions that are open", (gauges) => gauges.sessions],
  ["zgate_lanes", "Lanes that the open sessions may use", (gauges) => gauges.lanes],
  ["zgate_flows", "Flows in the flow tables", (gauges) => gauges.flows],
  ["zgate_leases", "Tunnel addresses that are leased", (gauges) => gauges.leases],
  ["zgate_lease_capacity", "Tunnel addresses that can be leased", (gauges) => gauges.leaseCapacity],
  ["zgate_policy_generation", "Generation of the policy in force", (gauges) => gauges.policyGeneration],
  ["zgate_draining", "1 while the relay takes no new sessions", (gauges) => Number(gauges.draining)],
  ["zgate_tun_tso", "1 when TCP super-packets cross the TUN device whole", (gauges) => Number(gauges.tso)],
  ["zgate_tun_uso", "1 when UDP super-packets cross the TUN device whole", (gauges) => Number(gauges.uso)],
  ["zgate_audit_healthy", "1 while audit records reach their sink", (gauges) => Number(gauges.auditHealthy)],
  ["zgate_audit_queued_bytes", "Audit records that wait to be written", (gauges) => gauges.audit.queuedBytes],
];

/** Counters that the audit log keeps. */
const AUDIT_COUNTERS: readonly (readonly [name: string, help: string, read: (audit: AuditStats) => number])[] = [
  ["zgate_audit_records_total", "Audit records that were made", (audit) => audit.records],
  [
    "zgate_audit_lost_total",
    "Audit records that were lost because the sink was slow, full or broken",
    (audit) => audit.lost,
  ],
  ["zgate_audit_gaps_total", "Times that audit records began to be lost", (audit) => audit.gaps],
  ["zgate_audit_suppressed_total", "Audit records that were counted instead of written", (audit) => audit.suppressed],
];

const FAMILY_NAMES = Object.keys(FAMILIES) as FamilyName[];

/** The relay's metrics. Its figures are as fresh as the last `render`. */
export class RelayMetrics {
  readonly #source: MetricsSource;
  readonly #registry = new Registry();
  readonly #gauges: readonly Gauge[];
  readonly #auditCounters: readonly Counter[];
  readonly #families: readonly Counter[];

  constructor(source: MetricsSource) {
    this.#source = source;
    const registers = [this.#registry];
    // Of the process: CPU, memory, garbage collection, event-loop lag.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_LAG_SAMPLE_MS });
    const labels = { version: source.version, node: process.versions.node };
    new Gauge({ name: "zgate_build_info", help: "Always 1", labelNames: Object.keys(labels), registers }).set(
      labels,
      1,
    );
    this.#gauges = GAUGES.map(([name, help]) => new Gauge({ name, help, registers }));
    this.#auditCounters = AUDIT_COUNTERS.map(([name, help]) => new Counter({ name, help, registers }));
    this.#families = FAMILY_NAMES.map((family) => {
      const { metric: name, help, label } = FAMILIES[family];
      return new Counter({ name, help, labelNames: [label], registers });
    });
  }

  /** Reads the source and gives the text. */
  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    const gauges = this.#source.gauges();
    for (const [index, [, , read]] of GAUGES.entries()) this.#gauges[index]?.set(read(gauges));
    for (const [index, [, , read]] of AUDIT_COUNTERS.entries())
      assign(this.#auditCounters[index], {}, read(gauges.audit));
    for (const [index, family] of FAMILY_NAMES.entries()) {
      for (const [name, counter] of Object.entries<CounterIndex>(COUNTER[family])) {
        assign(this.#families[index], { [FAMILIES[family].label]: name }, this.#source.counters.get(counter));
      }
    }
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}

/** prom-client has no `set` for counters: the old value is forgotten, the new one added to nothing. */
function assign(counter: Counter | undefined, labels: Record<string, string>, value: number): void {
  counter?.remove(labels);
  counter?.inc(labels, value);
}
