/**
 * What makes two packets one flow: version, protocol, addresses, and ports or ICMP identifier.
 *
 * A key is `KEY_WORDS` 32-bit words in a reused array. The key of an answer is turned around first, so that
 * both directions give the key of the packet that the client sent:
 *
 *   0–3 client  4–7 destination  8 client's port and destination's port, or ICMP type and identifier
 *   9 version and protocol
 */
import { finish, mix } from "../shared/packet/flow-hash.ts";
import type { FlowTuple } from "../shared/packet/flow-hash.ts";

export const KEY_WORDS = 10;

/** What a key is made of: a packet, or one that an ICMP error quotes. No later fragment: it has no ports. */
export type FlowSource = Omit<FlowTuple, "isFragment"> & { readonly icmpType: number };

/** Puts the key of a packet of the client into `key`. */
export function putKey(key: Int32Array, packet: FlowSource): void {
  key[0] = packet.src0;
  key[1] = packet.src1;
  key[2] = packet.src2;
  key[3] = packet.src3;
  key[4] = packet.dst0;
  key[5] = packet.dst1;
  key[6] = packet.dst2;
  key[7] = packet.dst3;
  key[8] = packet.icmpType < 0 ? (packet.srcPort << 16) | packet.dstPort : (packet.icmpType << 16) | packet.icmpId;
  key[9] = (packet.version << 8) | packet.protocol;
}

/** Puts the key of the client's packet that `packet` answers into `key`. */
export function putReplyKey(key: Int32Array, packet: FlowSource): void {
  key[0] = packet.dst0;
  key[1] = packet.dst1;
  key[2] = packet.dst2;
  key[3] = packet.dst3;
  key[4] = packet.src0;
  key[5] = packet.src1;
  key[6] = packet.src2;
  key[7] = packet.src3;
  key[8] =
    packet.icmpType < 0
      ? (packet.dstPort << 16) | packet.srcPort
      : (questionOf(packet.version, packet.icmpType) << 16) | packet.icmpId;
  key[9] = (packet.version << 8) | packet.protocol;
}

/** The key's hash, a signed 32-bit number; `seed` is secret, so that a peer cannot aim at one bucket. */
export function hashKey(key: Int32Array, seed: number): number {
  let hash = seed;
  if (key[9]! >>> 8 === 6) {
    hash = mix(mix(mix(hash, key[0]!), key[1]!), key[2]!);
    hash = mix(mix(mix(hash, key[4]!), key[5]!), key[6]!);
  }
  hash = mix(mix(hash, key[3]!), key[7]!);
  return finish(mix(mix(hash, key[8]!), key[9]!));
}

/** The key stands at `keys[at…]`. The words that differ most are compared first. */
export function isKeyAt(key: Int32Array, keys: Int32Array, at: number): boolean {
  return (
    keys[at + 8] === key[8] &&
    keys[at + 7] === key[7] &&
    keys[at + 9] === key[9] &&
    keys[at + 3] === key[3] &&
    keys[at + 6] === key[6] &&
    keys[at + 5] === key[5] &&
    keys[at + 4] === key[4] &&
    keys[at + 2] === key[2] &&
    keys[at + 1] === key[1] &&
    keys[at] === key[0]
  );
}

/** The ICMP type of the question that a message of type `answer` answers; other types answer themselves. */
function questionOf(version: 4 | 6, answer: number): number {
  if (version === 6) return answer === 129 ? 128 : answer;
  switch (answer) {
    case 0:
      return 8;
    case 14:
    case 16:
    case 18:
      return answer - 1;
    default:
      return answer;
  }
}
