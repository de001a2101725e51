/** Records for the tests of the audit log. */
import type { FlowEnd, Refusal, SessionDown, SessionUp } from "./audit-log.ts";
import { unixMs } from "../shared/units.ts";

const START = unixMs(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
const END = unixMs(START + 1_500);

export const FLOW: FlowEnd = {
  session: "s-1",
  client: "client-1",
  start: START,
  end: END,
  protocol: 6,
  src: "10.77.0.2",
  dst: "10.50.0.10",
  srcPort: 40_000,
  dstPort: 443,
  up: { packets: 10, bytes: 1_000 },
  down: { packets: 20, bytes: 20_000 },
  action: "allow",
  rule: "allow-web",
  reason: "web",
  generation: 1,
};

export const DENIED: FlowEnd = { ...FLOW, action: "deny", rule: "deny-default", reason: "no rule allows it" };

export const UP: SessionUp = {
  session: "s-1",
  client: "client-1",
  remote: "192.0.2.7:50000",
  serial: "0a1b2c",
  fingerprint: "ab".repeat(32),
  notAfter: END,
  ipv4: "10.77.0.2",
  ipv6: "fd77:7a67::2",
  group: "X25519MLKEM768",
  cipher: "TLS13_AES_128_GCM_SHA256",
  protocol: "zgate",
};

export const DOWN: SessionDown = {
  session: "s-1",
  client: "client-1",
  remote: "192.0.2.7:50000",
  start: START,
  end: END,
  reason: "client",
  up: { packets: 10, bytes: 1_000 },
  down: { packets: 20, bytes: 20_000 },
  dropped: 0,
};

export const REFUSAL: Refusal = { what: "handshake", remote: "192.0.2.9:1", code: 0x174, reason: "no certificate" };
