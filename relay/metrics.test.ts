import assert from "node:assert/strict";
import { test } from "node:test";
import { COUNTER, Counters, FAMILIES } from "./counters.ts";
import { type RelayGauges, RelayMetrics } from "./metrics.ts";

const gauges: RelayGauges = {
  sessions: 2,
  lanes: 16,
  flows: 40,
  leases: 2,
  leaseCapacity: 65_533,
  policyGeneration: 3,
  draining: false,
  tso: true,
  uso: false,
  auditHealthy: true,
  audit: { records: 9, lost: 1, gaps: 1, suppressed: 4, queuedBytes: 512, head: { seq: 9, hash: "" } },
};

test("one scrape reads the gauges once and shows every counter, also those at zero", async () => {
  const counters = new Counters();
  counters.add(COUNTER.dropped["policy-deny"], 5);
  counters.add(COUNTER.handshakes.X25519MLKEM768, 2);
  let reads = 0;
  const metrics = new RelayMetrics({
    version: "1.2.3",
    counters,
    gauges: () => {
      reads++;
      return gauges;
    },
  });

  const { contentType, text } = await metrics.render();
  assert.equal(reads, 1);
  assert.match(contentType, /^text\/plain/);
  const lines = new Set(text.split("\n"));
  for (const line of [
    `zgate_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
    "zgate_sessions 2",
    "zgate_policy_generation 3",
    "zgate_draining 0",
    "zgate_tun_tso 1",
    "zgate_tun_uso 0",
    'zgate_cut_super_packets_total{reason="lacking"} 0',
    "zgate_audit_healthy 1",
    "zgate_audit_lost_total 1",
    'zgate_dropped_packets_total{reason="policy-deny"} 5',
    'zgate_dropped_packets_total{reason="no-route"} 0',
    'zgate_handshakes_total{group="X25519MLKEM768"} 2',
    'zgate_policy_reloads_total{result="refused"} 0',
  ]) {
    assert.ok(lines.has(line), line);
  }
  for (const { metric, label, names } of Object.values(FAMILIES)) {
    for (const name of names) assert.ok(text.includes(`${metric}{${label}="${name}"} `), `${metric} ${name}`);
  }
  assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
});

test("a second scrape shows what was counted since, not the sum of both", async () => {
  const counters = new Counters();
  const metrics = new RelayMetrics({ version: "0", counters, gauges: () => gauges });
  counters.add(COUNTER.packets["from-client"], 3);
  await metrics.render();
  counters.add(COUNTER.packets["from-client"], 4);
  const { text } = await metrics.render();
  assert.match(text, /^zgate_packets_total\{direction="from-client"\} 7$/m);
  assert.match(text, /^zgate_audit_records_total 9$/m);
});
