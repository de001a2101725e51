/**
 * Does a `virtio_net_hdr` fit its packet? Every frame of a lane with offload is checked before it reaches a
 * kernel, because that trusts it: a checksum written to a place of the peer's choice would change an address
 * or a port after the policy judged it.
 *
 *   flags ▸ kind of super-packet against the packet ▸ segment size ▸ where the checksum goes ▸ hdr_len set
 */
import { PROTO_TCP, PROTO_UDP } from "./constants.ts";
import type { PacketView } from "./view.ts";
import {
  GSO_ECN,
  GSO_NONE,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  VNET_DATA_VALID,
  VNET_NEEDS_CSUM,
} from "./vnet-header.ts";
import type { VnetHeader } from "./vnet-header.ts";

/** Where the checksum stands in the TCP header (RFC 9293 section 3.1) and in the UDP header (RFC 768). */
export const TCP_CHECKSUM = 16;
export const UDP_CHECKSUM = 6;

/**
 * The smallest segment of a super-packet, payload bytes: Linux's TCP_MIN_SND_MSS (include/net/tcp.h). It
 * keeps a peer from turning one frame of 64 KB into more than 1,366 packets.
 */
export const MIN_GSO_SIZE = 48;

/** The most datagrams of a UDP super-packet: UDP_MAX_SEGMENTS (include/linux/udp.h) before Linux 6.10. */
export const MAX_UDP_SEGMENTS = 64;

/** What is wrong with a header; the peer's session ends with H3_MESSAGE_ERROR. */
export type OffloadFault =
  | "unknown flag"
  | "unknown gso type"
  | "gso type against the packet"
  | "gso without checksum"
  | "gso size"
  | "too many datagrams"
  | "larger than the MTU"
  | "checksum place";

/**
 * Checks `header` against the packet in `view`, and sets what may be set without asking: `hdrLen` to the
 * bytes of the packet's headers (the kernel's own value is wrong on forwarded packets), and no
 * DATA_VALID, which only a device may say. A packet that is no super-packet, and each segment of one that
 * is, has at most `mtu` bytes. Returns what is wrong; `undefined`: `header` may go to a kernel.
 */
export function checkOffload(header: VnetHeader, view: PacketView, mtu: number): OffloadFault | undefined {
  if ((header.flags & ~(VNET_NEEDS_CSUM | VNET_DATA_VALID)) !== 0) return "unknown flag";
  header.flags &= VNET_NEEDS_CSUM;
  const needsChecksum = header.flags !== 0;
  header.hdrLen = view.headerLength + view.transportHeaderLength;
  if (needsChecksum && !isChecksumPlace(header, view)) return "checksum place";
  if (header.gsoType === GSO_NONE) {
    header.gsoSize = 0;
    return view.totalLength > mtu ? "larger than the MTU" : undefined;
  }
  if (!isKnownGso(header.gsoType)) return "unknown gso type";
  if (!fitsPacket(header.gsoType, view)) return "gso type against the packet";
  if (!needsChecksum || header.csumStart !== view.headerLength) return "gso without checksum";
  // No kernel makes another, and before 6.11 one that is given it may warn aloud (torvalds/linux 89add40066f9).
  if (header.csumOffset !== checksumField(view.protocol)) return "checksum place";
  if (header.gsoSize < MIN_GSO_SIZE) return "gso size";
  if (header.hdrLen + header.gsoSize > mtu) return "larger than the MTU";
  const datagrams = (view.totalLength - header.hdrLen) / header.gsoSize;
  return header.gsoType === GSO_UDP_L4 && datagrams > MAX_UDP_SEGMENTS ? "too many datagrams" : undefined;
}

function isKnownGso(type: number): boolean {
  switch (type) {
    case GSO_TCPV4:
    case GSO_TCPV6:
    case GSO_TCPV4 | GSO_ECN:
    case GSO_TCPV6 | GSO_ECN:
    case GSO_UDP_L4:
      return true;
    default:
      return false;
  }
}

function fitsPacket(type: number, view: PacketView): boolean {
  if (view.isFragment) return false;
  if (type === GSO_UDP_L4) return view.protocol === PROTO_UDP;
  return view.protocol === PROTO_TCP && view.version === ((type & ~GSO_ECN) === GSO_TCPV4 ? 4 : 6);
}

/**
 * The checksum goes where the transport header has its own, or behind the transport header: then it belongs
 * to a packet inside, of a tunnel in the tunnel. Nothing that was judged is overwritten.
 */
function isChecksumPlace(header: VnetHeader, view: PacketView): boolean {
  if (view.isFragment || header.csumStart < view.headerLength) return false;
  const field = header.csumStart + header.csumOffset;
  if (field + 2 > view.totalLength) return false;
  if (header.csumStart === view.headerLength && header.csumOffset === checksumField(view.protocol)) return true;
  // Protocols without a header length here: their ports, or ICMP type and code, are in the first 4 bytes.
  return field >= view.headerLength + Math.max(view.transportHeaderLength, 4);
}

/** Where the transport header of `protocol` has a checksum that devices complete; -1 when it has none. */
export function checksumField(protocol: number): number {
  if (protocol === PROTO_TCP) return TCP_CHECKSUM;
  return protocol === PROTO_UDP ? UDP_CHECKSUM : -1;
}
