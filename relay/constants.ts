/** Every limit of the relay: unit, reason, source. */

// Timers

/** The longest delay that a Node timer keeps: 2^31 - 1 milliseconds (a longer one fires at once). */
export const MAX_TIMER_MS = 2 ** 31 - 1;

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
