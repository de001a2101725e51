import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULT_TRUNCATED, PACKET_FAULTS } from "../shared/packet/fault.ts";
import type { CloseSource } from "../shared/native/quic.ts";
import { tlsRefusal } from "../shared/native/tls-refusal.ts";
import { COUNTER, Counters, FAMILIES, handshakeCounter, handshakeRefusalReason, malformedCounter } from "./counters.ts";

test("every counter has an index of its own, without holes", () => {
  const indexes: number[] = Object.values(COUNTER).flatMap((family) => Object.values<number>(family));
  assert.deepEqual(
    indexes,
    indexes.map((_, position) => position),
  );
});

test("metric and label names are what Prometheus takes", () => {
  for (const { metric, label, names } of Object.values(FAMILIES)) {
    assert.match(metric, /^zgate_[a-z0-9_]+_total$/);
    assert.match(label, /^[a-z]+$/);
    assert.equal(new Set<string>(names).size, names.length, metric);
  }
});

test("counting one counter leaves the others", () => {
  const counters = new Counters();
  counters.add(COUNTER.dropped["no-route"]);
  counters.add(COUNTER.dropped["no-route"], 2);
  counters.add(COUNTER.dropped["policy-deny"], 4);
  assert.equal(counters.get(COUNTER.dropped["no-route"]), 3);
  assert.equal(counters.get(COUNTER.dropped["source-address"]), 0);
  assert.equal(counters.total("dropped"), 7);
  assert.equal(counters.total("malformed"), 0);
});

test("a counter follows what somebody else counts", () => {
  const counters = new Counters();
  for (const total of [3, 3, 5]) {
    counters.follow(COUNTER.dropped["tun-overflow"], total);
    assert.equal(counters.get(COUNTER.dropped["tun-overflow"]), total);
  }
  assert.equal(counters.total("dropped"), 5);
});

test("every packet fault has its counter", () => {
  const indexes = PACKET_FAULTS.map((_, fault) => malformedCounter(fault));
  assert.equal(new Set(indexes).size, PACKET_FAULTS.length);
  assert.equal(malformedCounter(FAULT_TRUNCATED), COUNTER.malformed.truncated);
});

test("handshakes are counted by group and refusals by reason", () => {
  assert.equal(handshakeCounter("X25519MLKEM768"), COUNTER.handshakes.X25519MLKEM768);
  assert.equal(handshakeCounter("secp521r1"), COUNTER.handshakes.other);
  assert.equal(handshakeCounter("constructor"), COUNTER.handshakes.other);
  const cases: readonly (readonly [source: CloseSource, code: number, reason: string])[] = [
    ["idle-timeout", -1, "vanished"],
    ["transport", -2, "over-network-limit"],
    ["transport", 0x02, "over-limit"],
    ["transport", 0x174, "no-certificate"],
    ["transport", 0x130, "unknown-ca"],
    ["transport", 0x1ff, "other"],
    ["transport", 0, "other"],
    ["peer-transport", 0x130, "refused-by-client"],
    ["peer-transport", 0x0a, "other"],
  ];
  for (const [source, code, reason] of cases) {
    const refusal = { remote: "192.0.2.1:4433", source, code, reason: "" };
    const tls = tlsRefusal(refusal, { side: "relay", keyExchange: "prefer-pq" });
    assert.equal(handshakeRefusalReason(refusal, tls), reason, `${source} ${code.toString(16)}`);
  }
});

test("counting allocates nothing", () => {
  const counters = new Counters();
  const count = (): void => {
    for (let index = 0; index < 1_000_000; index++) counters.add(COUNTER.packets["from-client"]);
  };
  count();
  const before = process.memoryUsage().heapUsed;
  count();
  assert.ok(process.memoryUsage().heapUsed - before < 1_000_000);
});
