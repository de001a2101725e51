/** Limits and defaults of the configuration that are not obvious from the option's own line. */

/** The largest configuration file in bytes. A file with every option set has about 2 KiB. */
export const MAX_CONFIG_BYTES = 1 << 20;

/** UDP port of the relay. No port is registered for MASQUE; this one stays clear of a web server's 443. */
export const DEFAULT_RELAY_PORT = 4433;

/** The least MTU of the TUN device in bytes: IPv6 needs it (RFC 8200 section 5). */
export const MIN_TUN_MTU = 1280;

/** The most: what the kernel gives a TUN device (IP_MAX_MTU 65535 less ETH_HLEN 14, drivers/net/tun.c). */
export const MAX_TUN_MTU = 65_521;

/**
 * MTU of the TUN device in bytes. A lane is a reliable stream, so the outer path does not bound it; 1500 is what
 * the networks behind a relay carry, so that no packet has to be fragmented or refused on its way out.
 */
export const DEFAULT_TUN_MTU = 1500;

/** Lanes of a session (DESIGN section 1). */
export const MAX_LANES = 64;

/** Lanes that an agent asks for: enough that a loss holds up few flows, cheap enough in windows. */
export const DEFAULT_LANES = 8;

/** Lanes that a relay grants at most. */
export const DEFAULT_MAX_LANES = 16;

/** Sessions at once that a relay may be configured for: what an IPv4 pool of /16 can address. */
export const MAX_SESSIONS = 65_536;
export const DEFAULT_MAX_SESSIONS = 4096;

/** Handshakes in progress above which the relay demands address validation (RFC 9000 section 8.1.2). */
export const DEFAULT_RETRY_ABOVE = 64;

/** Handshakes in progress beyond which new ones are refused: about 10 KB each, one is done in a few round trips. */
export const DEFAULT_MAX_HANDSHAKES = 1024;

/** The longest duration an option takes, in milliseconds: a day; none of them means more. */
export const MAX_DURATION_MS = 86_400_000;

/** Bytes of an interface name without its NUL (IFNAMSIZ 16, linux/if.h). */
export const MAX_INTERFACE_NAME = 15;

/** Entries of an option that may be repeated. */
export const MAX_REPEATS = 256;

/** Bytes of a path (PATH_MAX 4096 with its NUL, linux/limits.h). */
export const MAX_PATH_LENGTH = 4095;

/** Characters of a DNS name (RFC 1035 section 2.3.4, without the root's dot). */
export const MAX_DNS_NAME = 253;
