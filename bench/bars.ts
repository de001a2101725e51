/** What zgate promises to reach, as ratios to the peers of the same run: the table's last columns. */
import type { MetricName } from "./scenario.ts";

export interface Bar {
  readonly scenario: string;
  readonly metric: MetricName;
  /** The peer of the ratio; undefined where the bar is a value of ours alone, in the metric's unit. */
  readonly peer: string | undefined;
  readonly relation: ">=" | "<=" | "<";
  readonly value: number;
}

const oneFlow = (["tcp-up-1", "tcp-down-1"] as const).flatMap((scenario): Bar[] => [
  // The first is the tunnel's own promise, the second that of the fast path.
  { scenario, metric: "throughput", peer: "wireguard-go-debian", relation: ">=", value: 1 },
  { scenario, metric: "throughput", peer: "wireguard-go-debian", relation: ">=", value: 2.5 },
  { scenario, metric: "throughput", peer: "wireguard-go-newest", relation: ">=", value: 1 },
  { scenario, metric: "throughput", peer: "openvpn", relation: ">=", value: 4 },
  { scenario, metric: "throughput", peer: "quic-stream", relation: ">=", value: 0.8 },
  { scenario, metric: "cpuBoth", peer: "quic-stream", relation: "<=", value: 1.5 },
]);

export const BARS: readonly Bar[] = [
  ...oneFlow,
  // 10,000 rules have at least 0.97 of the throughput that one has.
  { scenario: "tcp-down-1", metric: "throughput", peer: "zgate-10000-rules", relation: "<=", value: 1.031 },
  { scenario: "udp-64", metric: "packetRate", peer: "wireguard-go-newest", relation: ">=", value: 1 },
  { scenario: "ping-idle", metric: "pingP50", peer: "wireguard-go-debian", relation: "<=", value: 1.5 },
  { scenario: "ping-idle", metric: "pingP50", peer: "wireguard-go-newest", relation: "<=", value: 1.25 },
  { scenario: "ping-loaded-up", metric: "pingP99", peer: "wireguard-go-newest", relation: "<=", value: 1 },
  { scenario: "ping-loaded-down", metric: "pingP99", peer: "wireguard-go-newest", relation: "<=", value: 1 },
  { scenario: "loss-1%-40ms-8", metric: "throughput", peer: "zgate-one-lane", relation: ">=", value: 2 },
  { scenario: "loss-1%-40ms-8", metric: "throughput", peer: "wireguard-go-newest", relation: ">=", value: 1 },
  { scenario: "sessions-1000", metric: "sessionMemory", peer: undefined, relation: "<", value: 65_536 },
];

export function holds(bar: Bar, value: number): boolean {
  if (bar.relation === ">=") return value >= bar.value;
  return bar.relation === "<=" ? value <= bar.value : value < bar.value;
}
