/** Limits and times of the agent: unit, reason. */

/** From the 200 of the control stream to addresses and routes. Milliseconds. */
export const ASSIGN_TIMEOUT_MS = 10_000;

/** How long one attempt to connect may take, DNS included. Milliseconds. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** Packets that the kernel queued during an outage longer than this are stale: TCP has sent them again. Milliseconds. */
export const STALE_AFTER_MS = 3_000;

/** A probe a path that is silent: a relay that restarted answers with a stateless reset. Milliseconds. */
export const KEEP_ALIVE_MS = 2_500;

/** Silence after which the relay is taken for gone: four probes. Milliseconds. */
export const IDLE_TIMEOUT_MS = 10_000;

/** How long the end of a session may take when the agent stops. Milliseconds. */
export const CLOSE_TIMEOUT_MS = 1_000;

/** How often the certificate's age is looked at: a comparison of two numbers. Milliseconds. */
export const RENEWAL_CHECK_MS = 1_000;

/** The wait after another machine took the session over with the same certificate: else both take it in turns. Milliseconds. */
export const REPLACED_PAUSE_MS = 30_000;
