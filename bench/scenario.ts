/** What a scenario is, and what it can find out. */
import type { Path } from "./site.ts";
import type { Testbed } from "./testbed.ts";

export interface Metric {
  readonly title: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
}

/** Every figure that a scenario can give. */
export const METRICS = {
  throughput: { title: "throughput", unit: "Mbit/s", better: "higher" },
  cpuClient: { title: "CPU client", unit: "s/GB", better: "lower" },
  cpuRelay: { title: "CPU relay", unit: "s/GB", better: "lower" },
  cpuBoth: { title: "CPU both ends", unit: "s/GB", better: "lower" },
  packetRate: { title: "packet rate", unit: "packets/s", better: "higher" },
  pingP50: { title: "ping p50", unit: "ms", better: "lower" },
  pingP99: { title: "ping p99", unit: "ms", better: "lower" },
  connectTime: { title: "start to first reply", unit: "ms", better: "lower" },
  sessionMemory: { title: "memory a session", unit: "bytes", better: "lower" },
  connectRate: { title: "sessions opened", unit: "1/s", better: "higher" },
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof METRICS;

/** One measurement: the metrics that it found. */
export type Sample = Readonly<Partial<Record<MetricName, number>>>;

export interface Scenario {
  readonly name: string;
  /** The peers that it compares, by name. */
  readonly peers: readonly string[];
  /** What the outer packets meet; undefined: nothing but the veth. */
  readonly path: Path | undefined;
  /** How often each peer is measured, the peers taking turns. */
  readonly rounds: number;
  measure(bed: Testbed): Promise<Sample>;
}
