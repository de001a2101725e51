/** Limits of the HTTP/3 layer: unit, reason, source. The RFCs' own code points are in `spec.ts`. */
import { MAX_STREAM_WRITE } from "../native/quic.ts";

/**
 * Bytes that `writeBody` needs in front of the body: the type byte of DATA and a 4-byte varint, which counts
 * up to 2^30 - 1 (RFC 9000 section 16).
 */
export const DATA_HEADROOM = 5;

/** The largest body of one DATA frame, in bytes: what fits one native write with its header. */
export const MAX_BODY_WRITE = MAX_STREAM_WRITE - DATA_HEADROOM;

/** Bytes that `sendDatagram` needs in front of the payload: the longest varint. */
export const DATAGRAM_HEADROOM = 8;

/**
 * Received datagrams are drained through one buffer of this many bytes: one record of the largest size
 * (2 + 65,535) and then some, so that a burst of MTU-size ones takes few calls.
 */
export const DATAGRAM_SLAB_BYTES = 128 * 1024;

/**
 * Field section, in bytes as RFC 9114 section 4.2.2 counts them (name + value + 32 each). 16 KiB is what
 * common servers take; ours need less than 1 KiB.
 */
export const MAX_FIELD_SECTION_SIZE = 16 * 1024;

/** Payload of a SETTINGS frame in bytes. Known settings need 30; the rest is room for extensions and grease. */
export const MAX_SETTINGS_BYTES = 4 * 1024;

/** Request streams that a server holds open and unanswered. A session opens 65 (control and 64 lanes). */
export const MAX_PENDING_REQUESTS = 128;

/**
 * Streams that a peer opens within a window, reset or not, and how long one is in milliseconds. A session opens 68 when it
 * begins (65 requests, three unidirectional streams), and one now and then to renew its certificate.
 */
export const MAX_STREAMS_A_WINDOW = 256;
export const STREAM_WINDOW_MS = 10_000;

/** Unidirectional streams whose type has not come yet. A peer needs three, and opens them with their type. */
export const MAX_UNTYPED_STREAMS = 8;

/** Interim (1xx) responses before the final one. */
export const MAX_INTERIM_RESPONSES = 16;

/** Bytes of unknown frames that are skipped in one event; more wait for the next turn. */
export const SKIP_BUDGET_BYTES = 256 * 1024;

/**
 * Frames of one stream that are read in one event, for the same reason: they may be empty. A tunnel's DATA
 * frames are 64 KiB and more, so this many are 32 MB.
 */
export const FRAMES_PER_TURN = 512;

/** Reads of a QPACK stream in one event, for the same reason. */
export const INSTRUCTION_READS_PER_TURN = 16;

/** SETTINGS are the first thing a peer sends: 10 s is three lost flights on a slow path. */
export const SETTINGS_TIMEOUT_MS = 10_000;

/** From the opening of a request stream to the end of its HEADERS. */
export const HEADERS_TIMEOUT_MS = 10_000;

/** From the request to the final response; a relay may look up a lease, it waits for nobody. */
export const RESPONSE_TIMEOUT_MS = 30_000;
