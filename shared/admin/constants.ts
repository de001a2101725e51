/** Limits of the loopback HTTP servers: unit, reason. */

/** The largest request body, bytes: an `explain` question is under one kilobyte. */
export const ADMIN_BODY_BYTES = 16 * 1024;

/** Connections at once: a scraper, a health check and some administrators. */
export const ADMIN_CONNECTIONS = 64;

/** An idle connection is kept for so long, milliseconds: over a usual scrape interval is of no use. */
export const ADMIN_KEEP_ALIVE_MS = 5_000;

/** A request that is not complete after so long is given up, milliseconds. */
export const ADMIN_REQUEST_MS = 5_000;
