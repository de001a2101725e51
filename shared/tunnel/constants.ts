/**
 * Limits and numbers of the tunnel's wire protocol. Those of the specifications first, then our own.
 */
import { MAX_IP_PACKET } from "../packet/constants.ts";

// Capsule types (RFC 9297 section 3.5, RFC 9484 section 8.4)
export const CAPSULE_DATAGRAM = 0x00;
export const CAPSULE_ADDRESS_ASSIGN = 0x01;
export const CAPSULE_ADDRESS_REQUEST = 0x02;
export const CAPSULE_ROUTE_ADVERTISEMENT = 0x03;

/** The context of IP packets in an HTTP Datagram (RFC 9484 section 6). */
export const CONTEXT_IP_PACKET = 0;

/** Bytes of the length in front of each frame. */
export const FRAME_HEADER = 2;
/** The largest value of that length, bytes. */
export const MAX_FRAME_LENGTH = 0xffff;
/** The largest frame with its length. */
export const MAX_FRAME = FRAME_HEADER + MAX_FRAME_LENGTH;
/** The smallest frame that can hold a packet: an IPv4 header and no more. It bounds the frames in a slab. */
export const MIN_PACKET_FRAME = FRAME_HEADER + 20;

/**
 * Bytes kept free at the front of a slab that is sent, for the HTTP/3 DATA header that goes before its
 * frames: a frame type of 1 byte and a length of up to 8 (RFC 9114 section 7.1), rounded up.
 */
export const SLAB_HEADROOM = 16;

/**
 * Bytes of a slab behind its headroom. Room for three of the largest frames and more: a native read fills it in one call, one
 * write of 64 KB and more costs QUIC a tenth of what 1,400-byte writes do, and it stays in the L2 cache.
 */
export const SLAB_BYTES = 256 * 1024;

/** The most lanes of a session (DESIGN section 3): 6 bits are room enough, each lane costs a stream. */
export const MAX_LANES = 64;

/**
 * Bytes that wait for a lane whose stream takes no more, headroom included. One slab: what a device read
 * brought before the source could be stopped; at 100 Mbit/s it adds 20 ms.
 */
export const LANE_BACKLOG_BYTES = SLAB_HEADROOM + SLAB_BYTES;

/** What the lanes of a session may read before those of others have their turn, bytes: half a millisecond of work. */
export const TURN_BYTES = 512 * 1024;
/** A frame, and a read, counts for so many bytes at least, because small ones cost as much as larger ones: 64 frames a turn. */
export const FRAME_WORK_BYTES = 8 * 1024;
/** So many packets of super-packets that have to be cut cost as much as a frame: two microseconds each. */
export const CUT_PACKETS_PER_FRAME = 4;
/** A turn that was not used up is followed by a new one after so long, milliseconds. */
export const TURN_MS = 1;
/**
 * What one read takes from a lane at first, bytes: doubled while all its frames fit the turn, up to a slab, and cut to
 * what fitted when they did not. A slab of the smallest would be 80,000.
 */
export const FIRST_READ_BYTES = 16 * 1024;
export const LEAST_READ_BYTES = 2 * 1024;

/**
 * The longest value of a capsule that is understood, bytes: a DATAGRAM with its context and the largest IP
 * packet. It holds 9,362 address entries or 1,927 IPv6 routes. Unknown capsules may be longer: they are
 * skipped, not kept.
 */
export const MAX_CAPSULE_VALUE = 8 + MAX_IP_PACKET;

/** Addresses in one ADDRESS_ASSIGN or ADDRESS_REQUEST: dual stack needs two; the rest is tolerance. */
export const MAX_CAPSULE_ADDRESSES = 64;

/** Routes in one ROUTE_ADVERTISEMENT: what fits `MAX_CAPSULE_VALUE` with IPv6 ranges, rounded down. */
export const MAX_CAPSULE_ROUTES = 1_900;

/** The version of the `zgate-*` fields and of the lane framing. */
export const ZGATE_VERSION = 1;

/** Bytes of a structured field that is parsed: an integer of 15 digits or a token, with some parameters. */
export const MAX_STRUCTURED_FIELD = 256;

/** The smallest and the largest TUN MTU that may be agreed (RFC 8200 section 5: IPv6 needs 1280). */
export const MIN_TUN_MTU = 1280;
export const MAX_TUN_MTU = MAX_IP_PACKET;

/** Bytes of the control stream that are read at a time; capsules are small, and DATAGRAM capsules as long as packets. */
export const CAPSULE_READ_BYTES = 1024;

/** Reads of one control stream before other streams have their turn: some 170 of the smallest packets, half a millisecond. */
export const CAPSULE_TURN_READS = 4;

/** Capsules that wait for a peer that does not read, bytes: two of the largest ROUTE_ADVERTISEMENTs. */
export const CAPSULE_QUEUE_BYTES = 2 * MAX_CAPSULE_VALUE;

/** How an application-level end of a session is coded (docs/protocol.md section 7). */
export const CLOSE_CODE = {
  /** The same client opened a newer session. */
  REPLACED: 0x7a67_0001,
  /** The policy does not know the client any more, or has it disabled. */
  FORBIDDEN: 0x7a67_0002,
  /** The client's certificate was revoked, or expired. */
  REVOKED: 0x7a67_0003,
  /** The relay is going down. */
  DRAINING: 0x7a67_0004,
  /** An administrator ended the session. */
  ADMIN: 0x7a67_0005,
} as const;
