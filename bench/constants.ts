/** Every number of the benchmark that somebody chose, with its unit and reason. */

// Time: a full run has to fit in about ten minutes on two cores, a quick one in about one.

/** Repetitions of what a bar stands on: one hiccup cannot move the median of three. */
export const BAR_ROUNDS = 3;
/** Repetitions of what completes the picture. */
export const OTHER_ROUNDS = 2;
/** Repetitions of what takes long and has no bar: one look. */
export const LONG_ROUNDS = 1;
/** One bulk transfer, in seconds; iperf3 takes whole seconds. Slow start on veth takes 1 % of it. */
export const TCP_SECONDS = 2;
/** One bulk transfer over 40 ms, in seconds: slow start takes about 0.5 s of it. */
export const LOSSY_TCP_SECONDS = 4;
/** One attempt at a UDP rate, in seconds: short, because there are many. */
export const UDP_ATTEMPT_SECONDS = 0.5;
/** Steps of a search: 6 octaves of rate halved 6 times leave 7 % between the last two rates tried. */
export const UDP_SEARCH_STEPS = 6;
/** Lowest and highest rate searched, in packets a second: below any VPN, above what two cores can do. */
export const UDP_RATE_RANGE = { low: 8_000, high: 512_000 } as const;
/** The loss below which a UDP rate counts as carried. */
export const UDP_LOSS_LIMIT = 0.01;
/**
 * Echo requests before those that count, for every peer alike: a tunnel in use, not one that has just come up. Ours
 * compiles its packet path in the first few hundred packets.
 */
export const PING_WARM_UP = { count: 500, intervalSeconds: 0.002 } as const;
/** Echo requests of one idle measurement, and the pause between two, in seconds. */
export const PING_IDLE = { count: 200, intervalSeconds: 0.01 } as const;
/** Echo requests beside a load: as long as the load less its start. */
export const PING_LOADED = { count: 250, intervalSeconds: 0.01 } as const;
/** How long the load beside a ping runs, in seconds: longer than the ping. */
export const PING_LOAD_SECONDS = 4;
/** How long the load runs before the ping starts, in milliseconds: past slow start. */
export const PING_LOAD_LEAD_MS = 500;

// Idle sessions.

/**
 * Sessions opened before the baseline, so that what the first ones cost once is not charged to each: above all V8's
 * young generation, which grows to its most, some 20 MB, in the first rush.
 */
export const IDLE_SESSIONS_BEFORE = 500;
/** Sessions that are measured. */
export const IDLE_SESSIONS = 1_000;
/** Handshakes in progress at once: below the number from which a relay demands address validation. */
export const IDLE_SESSION_HANDSHAKES = 32;
/** How long opening them may take, in milliseconds: 20 a second. */
export const IDLE_SESSIONS_TIMEOUT_MS = 50_000;
/** How long the relay has before its memory is read, in milliseconds: for collections that the opening earned. */
export const IDLE_SETTLE_MS = 3_000;

// The path.

/** One-way delay of the long path, in milliseconds: half of an RTT across a continent. */
export const ONE_WAY_DELAY_MS = 20;
/** Where the long path runs a delay line, in packets: 20 ms at 5 Gbit/s of 1500-byte packets, doubled. */
export const DELAY_LINE_PACKETS = 16_384;
/** Congestion control of iperf3's TCP: the kernel's own default (net/ipv4/Kconfig), whatever this host prefers. */
export const TCP_CONGESTION_CONTROL = "cubic";

// The programs.

/** The newest wireguard-go when this was written (Go module version); Debian's own package says its own. */
export const WIREGUARD_GO_MODULE = "golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446";
/** How long a peer may take to carry its first packet, in milliseconds: OpenVPN polls once a second. */
export const TUNNEL_UP_TIMEOUT_MS = 20_000;
/** How long building or installing a peer may take, in milliseconds. */
export const INSTALL_TIMEOUT_MS = 300_000;

/** Handshakes at a time of `handshake-load.ts`: below the connections without a session that the relay lets a client have (8). */
export const HANDSHAKES_AT_ONCE = 6;
