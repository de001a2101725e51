/**
 * What the relay counts: a closed list, one number each, no allocation to count.
 *
 *   FAMILIES (what exists) ─▶ COUNTER (name ─▶ index) ─▶ Counters.add(index) ─▶ metrics.ts, on scrape
 *
 * A dropped packet is a value and a counter here, never an exception.
 */
import type { HandshakeRefusal } from "../shared/native/quic.ts";
import { TLS_CAUSES } from "../shared/native/tls-alerts.ts";
import type { TlsRefusal } from "../shared/native/tls-refusal.ts";
import { PACKET_FAULTS, type PacketFault } from "../shared/packet/fault.ts";

interface Family {
  /** The Prometheus name. */
  readonly metric: string;
  readonly help: string;
  readonly label: string;
  /** The values of the label. */
  readonly names: readonly string[];
}

export const FAMILIES = {
  packets: {
    metric: "zgate_packets_total",
    help: "Inner IP packets that were forwarded (an offloaded super-packet counts as one)",
    label: "direction",
    names: ["from-client", "to-client"],
  },
  bytes: {
    metric: "zgate_bytes_total",
    help: "Bytes of inner IP packets that were forwarded",
    label: "direction",
    names: ["from-client", "to-client"],
  },
  dropped: {
    metric: "zgate_dropped_packets_total",
    help: "Well-formed inner packets that were dropped",
    label: "reason",
    names: [
      /** The source is not a tunnel address of the session. */
      "source-address",
      /** The destination may never be reached through a tunnel: multicast, loopback, link-local. */
      "destination-address",
      /** The policy denies the flow. */
      "policy-deny",
      /** A later fragment whose first one was not seen or not allowed. */
      "fragment-orphan",
      /** Larger than the tunnel's MTU, and may not be fragmented. */
      "oversize",
      /** Over the client's rate limit. */
      "rate-limit",
      /** Would open a flow, of which the session opens too many. */
      "flow-rate",
      /** To a tunnel address that no session has. */
      "no-route",
      /** Towards a client that did not open this flow. */
      "no-flow",
      /** The session cannot keep up: its own queue is full. */
      "queue-full",
      /** The kernel's queue behind the TUN device is full. */
      "tun-overflow",
      /** The kernel refused the packet. */
      "tun-refused",
      /** The audit log fails and the relay is set to fail closed. */
      "audit-fail-closed",
    ],
  },
  malformed: {
    metric: "zgate_malformed_packets_total",
    help: "Inner packets that were dropped because they are malformed",
    label: "fault",
    names: PACKET_FAULTS,
  },
  cut: {
    metric: "zgate_cut_super_packets_total",
    help: "Super-packets from clients that were cut into packets before the kernel got them",
    label: "reason",
    names: [
      /** The device lacks the kind: the kernel has not got it, or failed the self-test for it. */
      "lacking",
      /** The kernel refused this one. */
      "refused",
    ],
  },
  frameErrors: {
    metric: "zgate_frame_errors_total",
    help: "Lane frames that ended their session",
    label: "reason",
    names: ["empty", "too-long", "cut-off", "bad-offload-header"],
  },
  flows: {
    metric: "zgate_flows_total",
    help: "What happened to flows",
    label: "event",
    names: [
      "allowed",
      "denied",
      "expired",
      /** Made room for another flow of the same session. */
      "evicted",
      /** Was allowed, and is denied by a later policy. */
      "cut",
    ],
  },
  answers: {
    metric: "zgate_answers_total",
    help: "Packets that the relay made itself, to say why another one did not pass",
    label: "kind",
    names: ["icmp-prohibited", "icmp-too-big", "tcp-reset", "suppressed"],
  },
  handshakes: {
    metric: "zgate_handshakes_total",
    help: "TLS handshakes that became connections",
    label: "group",
    names: ["X25519MLKEM768", "X25519", "secp256r1", "other"],
  },
  handshakesRefused: {
    metric: "zgate_handshakes_refused_total",
    help: "TLS handshakes that did not become connections",
    label: "reason",
    names: [
      ...TLS_CAUSES,
      /** The client did not accept the relay: its certificate, or what it offers. */
      "refused-by-client",
      "over-limit",
      /** Too many from one network are in progress. */
      "over-network-limit",
      /** Came in such a flood that nobody was told why. */
      "unexplained",
      "vanished",
    ],
  },
  addressChecks: {
    metric: "zgate_address_checks_total",
    help: "Initials that were answered with Retry, to see whether their sender receives at its address",
    label: "reason",
    names: ["handshakes-in-progress"],
  },
  sessions: {
    metric: "zgate_sessions_opened_total",
    help: "Sessions that were opened",
    label: "protocol",
    names: ["zgate", "connect-ip"],
  },
  sessionsRefused: {
    metric: "zgate_sessions_refused_total",
    help: "Session and lane requests that were refused",
    label: "reason",
    names: [
      "malformed",
      "bad-identity",
      "unknown-client",
      "disabled-client",
      "revoked",
      "lane-taken",
      "over-limit",
      "pool-empty",
      "draining",
      "audit-fail-closed",
    ],
  },
  sessionsEnded: {
    metric: "zgate_sessions_ended_total",
    help: "Sessions that ended",
    label: "reason",
    names: [
      "client",
      "replaced",
      "idle",
      "lost",
      "admin",
      "policy",
      "revoked",
      "expired",
      "drain",
      "protocol-error",
      /** More control messages than a client may send. */
      "over-limit",
      "internal-error",
    ],
  },
  certificateRequests: {
    metric: "zgate_certificate_requests_total",
    help: "Requests for certificates, of new machines and of clients that renew",
    label: "outcome",
    names: ["issued", "refused", "failed"],
  },
  logLines: {
    metric: "zgate_log_lines_lost_total",
    help: "Lines of the relay's own log that are lost",
    label: "reason",
    names: ["slow-reader"],
  },
  policyReloads: {
    metric: "zgate_policy_reloads_total",
    help: "Attempts to load the policy again",
    label: "result",
    names: ["applied", "refused"],
  },
} as const satisfies Record<string, Family>;

type Families = typeof FAMILIES;
export type FamilyName = keyof Families;
/** The values of a family's label. */
export type CounterName<F extends FamilyName> = Families[F]["names"][number];

declare const counterIndex: unique symbol;
/** The place of one counter in `Counters`. */
export type CounterIndex = number & { readonly [counterIndex]: true };

type CounterIndexes = { readonly [F in FamilyName]: { readonly [N in CounterName<F>]: CounterIndex } };

/** `COUNTER.dropped["no-route"]`: the index of every counter. */
export const COUNTER: CounterIndexes = indexFamilies();

const COUNTER_COUNT = Object.values(FAMILIES).reduce((sum, family) => sum + family.names.length, 0);

/** The counter of a malformed packet. */
export function malformedCounter(fault: PacketFault): CounterIndex {
  return COUNTER.malformed[PACKET_FAULTS[fault] ?? "none"];
}

/** The counter of a broken lane, from the reason that `FrameSink.broken` was given. */
export function frameErrorCounter(reason: string): CounterIndex {
  if (reason === "empty frame") return COUNTER.frameErrors.empty;
  if (reason === "frame too long") return COUNTER.frameErrors["too-long"];
  if (reason.startsWith("the lane ended")) return COUNTER.frameErrors["cut-off"];
  return COUNTER.frameErrors["bad-offload-header"];
}

/** The counter of a key-exchange group, by its TLS name. */
export function handshakeCounter(group: string): CounterIndex {
  switch (group) {
    case "X25519MLKEM768":
    case "X25519":
    case "secp256r1":
      return COUNTER.handshakes[group];
    default:
      return COUNTER.handshakes.other;
  }
}

/** What ends a handshake without a TLS alert: CONNECTION_REFUSED (RFC 9000 section 20.1), and codes of `HandshakeRefusal`. */
const REFUSAL_REASONS: ReadonlyMap<number, CounterName<"handshakesRefused">> = new Map([
  [-1, "vanished"],
  [-2, "over-network-limit"],
  [0x02, "over-limit"],
]);

/** Why a handshake was refused; `tls` when an alert ended it. */
export function handshakeRefusalReason(
  { code }: HandshakeRefusal,
  tls: TlsRefusal | undefined,
): CounterName<"handshakesRefused"> {
  if (tls === undefined) return REFUSAL_REASONS.get(code) ?? "other";
  return tls.by === "agent" ? "refused-by-client" : tls.cause;
}

/** One set of counters. They only grow; a number is exact up to 2^53. */
export class Counters {
  readonly #values = new Float64Array(COUNTER_COUNT);

  add(index: CounterIndex, by = 1): void {
    this.#values[index] = (this.#values[index] ?? 0) + by;
  }

  /** What somebody else counts: `total` until now. */
  follow(index: CounterIndex, total: number): void {
    this.#values[index] = total;
  }

  get(index: CounterIndex): number {
    return this.#values[index] ?? 0;
  }

  /** The sum of a family. */
  total(family: FamilyName): number {
    return Object.values(COUNTER[family]).reduce((sum, index) => sum + this.get(index), 0);
  }
}

function indexFamilies(): CounterIndexes {
  let next = 0;
  const families = Object.entries(FAMILIES).map(([family, { names }]) => [
    family,
    Object.fromEntries(names.map((name) => [name, next++])),
  ]);
  return Object.fromEntries(families) as CounterIndexes;
}
