/**
 * A 32-bit hash of a packet's 5-tuple: the multiply-rotate rounds of MurmurHash3 (public domain, Austin
 * Appleby) over address words, ports and protocol.
 *
 * Every fragment of a datagram, the first one too, is hashed by its addresses alone: later fragments carry
 * no ports, and an IPv6 fragment header may name an extension header instead of the protocol.
 */
import type { PacketView } from "./view.ts";

/** The parts of a parsed packet that the hash is made of. */
export type FlowTuple = Pick<
  PacketView,
  | "version"
  | "protocol"
  | "src0"
  | "src1"
  | "src2"
  | "src3"
  | "dst0"
  | "dst1"
  | "dst2"
  | "dst3"
  | "srcPort"
  | "dstPort"
  | "icmpId"
  | "isFragment"
>;

/**
 * The hash as a signed 32-bit number, because V8 may put a larger one on the heap. The two directions of a
 * flow hash differently. Where a peer must not be able to choose colliding flows, `seed` is a secret random
 * 32-bit number.
 */
export function flowHash(tuple: FlowTuple, seed: number): number {
  let hash = seed ^ tuple.version;
  if (tuple.version === 6) {
    hash = mix(hash, tuple.src0 | 0);
    hash = mix(hash, tuple.src1 | 0);
    hash = mix(hash, tuple.src2 | 0);
    hash = mix(hash, tuple.dst0 | 0);
    hash = mix(hash, tuple.dst1 | 0);
    hash = mix(hash, tuple.dst2 | 0);
  }
  hash = mix(hash, tuple.src3 | 0);
  hash = mix(hash, tuple.dst3 | 0);
  if (!tuple.isFragment) {
    hash = mix(hash, (tuple.srcPort << 16) | tuple.dstPort);
    hash = mix(hash, (tuple.icmpId << 8) | tuple.protocol);
  }
  return finish(hash);
}

/** As `flowHash`, but the same for both directions of a flow: of sums instead of what is added. */
export function laneHash(tuple: FlowTuple, seed: number): number {
  let hash = seed ^ tuple.version;
  if (tuple.version === 6) {
    hash = mix(hash, (tuple.src0 + tuple.dst0) | 0);
    hash = mix(hash, (tuple.src1 + tuple.dst1) | 0);
    hash = mix(hash, (tuple.src2 + tuple.dst2) | 0);
  }
  hash = mix(hash, (tuple.src3 + tuple.dst3) | 0);
  if (!tuple.isFragment) {
    hash = mix(hash, tuple.srcPort + tuple.dstPort);
    hash = mix(hash, (tuple.icmpId << 8) | tuple.protocol);
  }
  return finish(hash);
}

/** One round of MurmurHash3 x86_32, on signed numbers for the same reason. */
export function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  hash ^= Math.imul(k, 0x1b873593);
  hash = (hash << 13) | (hash >>> 19);
  return (Math.imul(hash, 5) + 0xe6546b64) | 0;
}

/** The finalizer of MurmurHash3: every input bit reaches every output bit. */
export function finish(hash: number): number {
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
