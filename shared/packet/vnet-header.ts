/**
 * `struct virtio_net_hdr` (linux/virtio_net.h), which stands before each packet of a TUN device with
 * IFF_VNET_HDR and of a lane with offload:
 *
 *   0 flags  1 gso_type  2 hdr_len  4 gso_size  6 csum_start  8 csum_offset      (u16, little-endian)
 *
 * All offsets count from the beginning of the packet behind it.
 */
import { putU16Le, u16LeAt } from "./bytes.ts";

/** Bytes of the header. */
export const VNET_HEADER = 10;

/** Flags. NEEDS_CSUM: the checksum field holds the folded sum of the pseudo-header, the rest is to be added. */
export const VNET_NEEDS_CSUM = 1;
/** The checksum was verified. */
export const VNET_DATA_VALID = 2;

/** Kinds of super-packet. */
export const GSO_NONE = 0;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
/** UDP datagrams of equal size, the last one may be shorter (since Linux 6.2 on a TUN device). */
export const GSO_UDP_L4 = 5;
/** Of TCP: the first segment alone carries CWR (RFC 3168). */
export const GSO_ECN = 0x80;

/** A header that was read; reused, its fields are valid until the next `read`. */
export class VnetHeader {
  flags = 0;
  /** With `GSO_ECN`. */
  gsoType = GSO_NONE;
  hdrLen = 0;
  /** Payload bytes of each segment. */
  gsoSize = 0;
  csumStart = 0;
  /** The checksum field, counted from `csumStart`. */
  csumOffset = 0;

  /** Reads `slab[at, at + VNET_HEADER)`. */
  read(slab: Uint8Array, at: number): void {
    this.flags = slab[at]!;
    this.gsoType = slab[at + 1]!;
    this.hdrLen = u16LeAt(slab, at + 2);
    this.gsoSize = u16LeAt(slab, at + 4);
    this.csumStart = u16LeAt(slab, at + 6);
    this.csumOffset = u16LeAt(slab, at + 8);
  }

  /** Writes `slab[at, at + VNET_HEADER)`. */
  write(slab: Uint8Array, at: number): void {
    slab[at] = this.flags;
    slab[at + 1] = this.gsoType;
    putU16Le(slab, at + 2, this.hdrLen);
    putU16Le(slab, at + 4, this.gsoSize);
    putU16Le(slab, at + 6, this.csumStart);
    putU16Le(slab, at + 8, this.csumOffset);
  }

  /** The header of a packet that needs nothing. */
  clear(): void {
    this.flags = 0;
    this.gsoType = GSO_NONE;
    this.hdrLen = 0;
    this.gsoSize = 0;
    this.csumStart = 0;
    this.csumOffset = 0;
  }
}
