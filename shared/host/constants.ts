/** Limits and names of the operating system layer. */

/** How long a command of the system may run, in milliseconds. They answer in a few; a lock may be held for some. */
export const COMMAND_TIMEOUT_MS = 10_000;

/** The most that a command may print, in bytes: a routing table of some ten thousand routes as JSON. */
export const MAX_COMMAND_OUTPUT_BYTES = 16 * 1024 * 1024;

/** How much of a command's error output an error message shows, in characters. */
export const SHOWN_ERROR_CHARS = 500;

/** Where what must be taken back after a crash is written down. Empty after a boot, as the network is. */
export const RUN_DIRECTORY = "/run/zgate";

/** The `protocol` of every route that zgate adds, so that it knows its own (rtnetlink(7): user values are above 4). */
export const ROUTE_PROTOCOL = 122;

/** Metric of zgate's routes: before those of DHCP and of router advertisements (100 and up), behind connected ones (0). */
export const ROUTE_METRIC = 50;
