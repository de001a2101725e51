/** Limits and lifetimes of the PKI. */

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** Random bytes of a serial number: at least 64 bits are asked for (CA/B baseline 7.1), 20 bytes is the most (RFC 5280 section 4.1.2.2). */
export const SERIAL_BYTES = 16;

/** How far before now a certificate begins: for peers whose clock is behind. */
export const NOT_BEFORE_SKEW_MS = 5 * 60_000;

/** A root is distributed by hand, so it lives long. */
export const ROOT_LIFETIME_MS = 3650 * DAY_MS;
/** An issuing CA is replaced under its root without touching any peer. */
export const ISSUING_LIFETIME_MS = 1825 * DAY_MS;
/** Relays are few and looked after. */
export const RELAY_LIFETIME_MS = 90 * DAY_MS;
/** Clients renew by themselves; a short life bounds what a stolen key is worth. */
export const CLIENT_LIFETIME_MS = 24 * HOUR_MS;

/** Characters of a name that goes into a common name (ub-common-name, RFC 5280 appendix A.1). */
export const MAX_COMMON_NAME = 64;

/** Characters of a client's name as the policy and the audit carry it. A SPIFFE ID may be longer; such a one is refused. */
export const MAX_CLIENT_NAME = 255;

/** Names that one relay certificate may carry. */
export const MAX_SUBJECT_NAMES = 64;

/** Bytes of a PEM file that is read: a bundle of some hundred CA certificates; a CRL of 100,000 serials has about 6 MB. */
export const MAX_PEM_BYTES = 16 << 20;

/** Bytes of one certificate that a peer presents. With ML-DSA keys some have 10 KB. */
export const MAX_CERTIFICATE_BYTES = 64 << 10;

/** How long a list of revoked leaves is good: relays get a new one with every revocation, and by a timer. */
export const LEAF_CRL_LIFETIME_MS = 7 * DAY_MS;
/** The root's list only says that the issuing CA is not revoked, and its key may be kept offline. */
export const ROOT_CRL_LIFETIME_MS = 365 * DAY_MS;
/** A revoked certificate stays on the list this long after its end, for clocks that are behind. */
export const CRL_KEEP_MS = 24 * HOUR_MS;

/** CA certificates whose state an index of revocations remembers: what peers send is theirs to choose. */
export const MAX_KNOWN_AUTHORITIES = 64;

/** Bytes of a ledger: some 300 bytes an entry, so about 800,000 certificates, which take three seconds to read. */
export const MAX_LEDGER_BYTES = 256 << 20;
/** Bytes of a ledger that a server reads at a time: about 1,000 entries, which take it some milliseconds. */
export const LEDGER_PIECE_BYTES = 256 << 10;

/**
 * Certificates of one client that are valid at a time, with which it may renew: two for each of 32 machines that share the
 * name. A client that asks for more would fill the ledger.
 */
export const MAX_CLIENT_CERTIFICATES = 64;

/** Rounds of PBKDF2-HMAC-SHA-256 for the passphrase of a CA key (OWASP password storage cheat sheet, 2023). */
export const PBKDF2_ITERATIONS = 600_000;

/** How long an enrolment token may be used, unless another time is asked for. */
export const TOKEN_LIFETIME_MS = 15 * 60_000;

/** Random bytes of a token's secret; its hash is what the authority keeps. */
export const TOKEN_SECRET_BYTES = 32;
/** Random bytes of a token's name: it names a file and is no secret. */
export const TOKEN_ID_BYTES = 12;
/** Characters of a token's line: an address, a fingerprint, two random values. */
export const MAX_TOKEN_LENGTH = 1024;

/** Bytes of a request to the enrolment service: a certificate request of an RSA key with many names has 8 KB. */
export const MAX_REQUEST_BYTES = 16 << 10;
/** Bytes of its answer: a chain and a CA bundle. */
export const MAX_ANSWER_BYTES = 256 << 10;

/**
 * Requests that one source prefix (IPv4 /24, IPv6 /56) may make in a burst, and how fast they come back. An office behind one
 * address enrols 30 machines at once: each asks twice.
 */
export const SOURCE_BURST = 60;
export const SOURCE_REQUESTS_PER_MINUTE = 60;
/** Source prefixes that are remembered; the longest silent one is forgotten for a new one. */
export const MAX_SOURCES = 4096;

/** TCP connections to the enrolment service at once, and how long one may take for a request, in milliseconds. */
export const MAX_ENROLMENT_CONNECTIONS = 128;
export const ENROLMENT_TIMEOUT_MS = 10_000;

/** Where renewals are sent, over TLS and over HTTP/3 alike. */
export const RENEWAL_PATH = "/v1/renew";
/** The field of the answer over HTTP/3 that has the serial number of the certificate that the session goes on with. */
export const SESSION_SERIAL_FIELD = "zgate-session-serial";

/** Port of the enrolment service: the relay's, on TCP. */
export const DEFAULT_ENROLMENT_PORT = 4433;

/** Share of its life after which a certificate is renewed: a third is left for whatever keeps it from being renewed. */
export const RENEWAL_SHARE = 2 / 3;
/** Spread of that moment, as a share of the life. */
export const RENEWAL_JITTER = 0.05;
/** Waits after a renewal that failed: a share of what is left of the life, within these bounds in milliseconds. */
export const RENEWAL_RETRY_SHARE = 1 / 20;
export const MIN_RENEWAL_RETRY_MS = 5_000;
export const MAX_RENEWAL_RETRY_MS = HOUR_MS;

/** How long the second file of a certificate and its key may come after the first: two renames and their syncs. */
export const PAIR_SETTLE_MS = 250;
