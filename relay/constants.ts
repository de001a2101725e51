/** Every limit of the relay: unit, reason, source. */

// Timers

/** The longest delay that a Node timer keeps: 2^31 - 1 milliseconds (a longer one fires at once). */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** How often the event loop's lag is sampled: each time wakes the process, and an idle relay is to sleep. */
export const LOOP_LAG_SAMPLE_MS = 500;

// Policy thread

/** Heap of the thread that loads policies, MB: twice what a policy at the limits of `shared/policy/constants.ts` takes. */
export const POLICY_THREAD_MEGABYTES = 2_048;
/** One load or answer of it, milliseconds: the largest valid file takes 6 s, and 40 s on a machine that is busy. */
export const POLICY_THREAD_MS = 120_000;
/**
 * Heap of it that is kept while it has nothing to do, MB: a policy of 20,000 rules leaves about as much behind, one of
 * 100,000 five times that.
 */
export const POLICY_THREAD_KEPT_MEGABYTES = 128;
/** So long after its last answer it has nothing to do, milliseconds: clients that come after a change ask within it. */
export const POLICY_THREAD_IDLE_MS = 10_000;
/** Different sets of rules whose routes are kept for the next session: 64 KB each at most. */
export const KNOWN_ROUTES = 1_024;
/** Flows that are judged anew at once: half a millisecond of work when all of them are cut, each with an audit record. */
export const FLOWS_JUDGED_A_TURN = 64;
/** What a session costs in such a turn, and in one in which sessions end, in flows: more than it has. */
export const SESSION_WEIGHT = 8;

// Lease pool

/**
 * The most slots of a pool, and with it of sessions that have addresses and of clients whose addresses are
 * remembered. A pool with more addresses uses its first ones; this bounds its memory to a few megabytes.
 */
export const MAX_LEASE_SLOTS = 65_536;
/** The longest IPv4 pool prefix, bits: network, relay, one client, broadcast. */
export const MAX_POOL_LENGTH_V4 = 30;
/** The longest IPv6 pool prefix, bits: Subnet-Router anycast (RFC 4291 section 2.6.1), relay, two clients. */
export const MAX_POOL_LENGTH_V6 = 126;

// Audit

/** Records that wait for a slow disk, bytes; beyond them records are lost and counted. About 30,000 flows. */
export const AUDIT_QUEUE_BYTES = 16 * 1024 * 1024;
/** What one write(2) carries at most, bytes: large enough to be cheap, small enough to see progress. */
export const AUDIT_BATCH_BYTES = 256 * 1024;
/** A file is rotated before it would grow over this, bytes. */
export const AUDIT_FILE_BYTES = 64 * 1024 * 1024;
/** Rotated files that are kept; the oldest is deleted. */
export const AUDIT_FILES_KEPT = 16;
/** After a failed write the next one is tried so much later, milliseconds. */
export const AUDIT_RETRY_MS = 500;
/** A write that takes longer makes the log unhealthy, milliseconds. */
export const AUDIT_STALL_MS = 5_000;
/** `flush` and `close` give up on a sink that takes nothing for so long, milliseconds. */
export const AUDIT_FLUSH_MS = 2_000;
/** A string in a record is cut to so many UTF-16 units: peers choose some of them. */
export const AUDIT_TEXT_LENGTH = 512;
/** A list in a record is cut to so many entries. */
export const AUDIT_LIST_LENGTH = 64;
/** No line is longer, bytes: two full lists of escaped text (64 x 512 x 6) and the rest of a record. */
export const AUDIT_LINE_BYTES = 512 * 1024;
/** Records of one kind that may come at once before they are suppressed and only counted. */
export const AUDIT_BURST = 100;
/** Records of one kind a second that are written for good. */
export const AUDIT_RATE = 10;
/** Suppressed records are counted for so long before the count is written, milliseconds. */
export const AUDIT_SUMMARY_MS = 10_000;
/** Kinds (such as a client's denied flows) that are limited at the same time; more share one bucket. */
export const AUDIT_LIMITED_KINDS = 10_000;

// Admin server

/** Sessions that one status answer lists at most, and without a `limit`. */
export const ADMIN_SESSIONS_LISTED = 1_000;

// Sessions

/** From the end of the handshake to the control request: three lost flights on a slow path. Milliseconds. */
export const CONTROL_TIMEOUT_MS = 10_000;
/** Connections that have come and were not looked at yet: as many as may shake hands at once (`--max-handshakes`). */
export const MAX_ARRIVALS = 1024;
/** Connections of one client without a session: an agent has one, and one more while it moves. */
export const MAX_CLIENT_WAITING = 8;
/** Connections without a session in all: each may hold memory for `CONTROL_TIMEOUT_MS`. */
export const MAX_WAITING = 2048;
/** Certificates whose identities are kept, at about 500 bytes: as many clients as a large relay has. */
export const MAX_KNOWN_IDENTITIES = 4096;
/**
 * Certificates of one session that have not expired: an agent renews after two thirds of their life and so has two; more
 * are asked for by somebody who wants the first one forgotten, or the ledger filled.
 */
export const MAX_SESSION_CERTIFICATES = 8;
/** What an agent is told to wait when the address pool is empty, seconds: leases end by the minute. */
export const POOL_RETRY_AFTER_S = 30;
/** What an agent is told to wait when the relay drains, seconds: long enough for its successor to start. */
export const DRAIN_RETRY_AFTER_S = 2;
/** How long the end of all sessions may take when the relay stops. Milliseconds. */
export const CLOSE_TIMEOUT_MS = 2_000;
/** How often idle flows are looked for, and with it how late an end may be told. Milliseconds. */
export const HOUSEKEEPING_MS = 1_000;

// NAT

/** IPv4 and TCP headers without options, bytes (RFC 9293 section 3.7.1): what the MSS leaves out of the MTU. */
export const IPV4_TCP_HEADERS = 40;
/** IPv6 and TCP headers without options, bytes. */
export const IPV6_TCP_HEADERS = 60;

/** Sessions of one client at once, where the policy does not say: a newer one replaces the older. */
export const DEFAULT_CLIENT_SESSIONS = 1;

// Fragments

/** Datagrams in fragments that a session may have in flight each way; 32 of the largest are 2 MB. */
export const FRAGMENT_ENTRIES = 32;
/** How long the later fragments may take, milliseconds: they follow at once or are lost. */
export const FRAGMENT_MS = 5_000;

// Answers

/** ICMP errors and resets to one session, a second, and how many at once: a scan must not become a flood. */
export const ANSWERS_PER_SECOND = 20;
export const ANSWERS_BURST = 20;

// Flows

/** Flows of a session at once; beyond them a new one takes an idle one's place. A busy desktop has about 500. */
export const MAX_SESSION_FLOWS = 16_384;
/** Flows that a session's table has room for at first: an idle session must be small (3.5 KB). */
export const FIRST_FLOWS = 32;
/** Flows of all sessions, beyond the first ones of each, at about 110 bytes: bounds them to 220 MB. */
export const MAX_FLOWS = 2_000_000;
/** Places that a look-up visits at most. A table is at most half full, where chance needs more than 30 once in a million. */
export const MAX_PROBES = 64;
/**
 * Flows that a client may open a second, and how many at once, in all its sessions: each costs a verdict and up to two audit records,
 * which all clients share a queue for. A page with a hundred hosts opens some 300, a busy crawler 500 a second.
 */
export const FLOWS_PER_SECOND = 1_000;
export const FLOWS_BURST = 4_000;
/** Flows that end at once, a quarter of a millisecond of work: each may write an audit record. */
export const FLOWS_ENDED_A_TURN = 32;
/** Neighbouring slots of a table with one time before which none of their flows ends: a first table is one such row. */
export const FLOWS_A_ROW = 32;
/** What looking through a row for idle flows costs, in flows that end: 10 microseconds when the code has just started. */
export const ROW_WEIGHT = 2;
/** Sessions that are over and have flows left to end; beyond them no other session's end begins. */
export const ENDING_SESSIONS = 64;
/** Idle time that ends a flow, milliseconds. TCP: RFC 5382 REQ-5, two hours and four minutes. */
export const FLOW_IDLE_TCP_MS = 7_440_000;
/** One side has sent its FIN: the TIME-WAIT of RFC 5382 REQ-5. */
export const FLOW_IDLE_HALF_CLOSED_MS = 240_000;
/** Both sides have, or there was a reset: time for what is still under way. */
export const FLOW_IDLE_CLOSED_MS = 10_000;
/** RFC 4787 REQ-5 recommends five minutes. */
export const FLOW_IDLE_UDP_MS = 300_000;
/** RFC 5508 REQ-2. */
export const FLOW_IDLE_ICMP_MS = 60_000;
/** As Linux's conntrack (nf_conntrack_generic_timeout). */
export const FLOW_IDLE_OTHER_MS = 600_000;

/** Flows that one answer to `explain` lists. */
export const EXPLAIN_FLOWS = 100;

// Device

/**
 * Queues of the TUN device, 500 packets each: as many clients as may be answered at full speed at once, each at the
 * cost of its own answers only. More clients share them by their addresses. A power of two, so that clients with
 * neighbouring addresses do not meet.
 */
export const TUN_QUEUES = 32;

// Rate limits

/** How much of a client's rate limit may come at once, as time: shorter, and TCP cannot use the rate. Milliseconds. */
export const RATE_BURST_MS = 100;
/** The least burst, bytes: four of the largest super-packets, or nothing would pass at low rates. */
export const RATE_BURST_BYTES = 256 * 1024;

// Control stream

/**
 * Capsules of a session a second, and how many at once, but for those that carry packets: an orderly client sends
 * one ADDRESS_REQUEST, and each is answered with both addresses.
 */
export const CONTROL_MESSAGES_PER_SECOND = 10;
export const CONTROL_MESSAGES_BURST = 20;
