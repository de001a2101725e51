/**
 * The TUN device that agent and relay are written against. `addon.ts` implements it on `/dev/net/tun`;
 * `fake-tun.ts` in memory, for tests.
 */

export interface TunOptions {
  /** Interface name, at most 15 bytes (IFNAMSIZ - 1, linux/if.h). */
  readonly name: string;
  /** The inner MTU in bytes, set on the interface. */
  readonly mtu: number;
  /**
   * Ask for IFF_VNET_HDR and TSO/USO (linux/if_tun.h). When the kernel passes the self-test for a kind of
   * super-packet at least, each frame is a `virtio_net_hdr` (10 bytes, linux/virtio_net.h) followed by a packet of up to
   * 64 KB.
   */
  readonly offload: boolean;
  /**
   * Queues in which packets wait to be read, 500 in each (`txqueuelen`), 1 to 256 (MAX_TAP_QUEUES in the kernel);
   * without it one. Those for one destination wait in the same queue, and the queues take turns: who has too many
   * loses his own.
   */
  readonly queues?: number;
  /** A descriptor of `steering.ts`. */
  readonly steering?: number | undefined;
}

export interface TunFeatures {
  /** IFF_VNET_HDR is on: every frame starts with 10 bytes of `virtio_net_hdr`. */
  readonly vnetHeader: boolean;
  /** The kinds of super-packet that the kernel hands over, and takes and cuts rightly. */
  readonly tso4: boolean;
  readonly tso6: boolean;
  readonly uso4: boolean;
  readonly uso6: boolean;
  /**
   * The destination address alone decides in which of several queues a packet waits. Without `steering` the kernel
   * takes the queue to which the packet's flow was last written, as long as it remembers the flow: it does so for
   * 4,096 flows of the last three seconds, and others may wait in any queue (drivers/net/tun.c).
   */
  readonly steered: boolean;
}

/** A kind of super-packet: TCP and UDP, over IPv4 and over IPv6. */
export type OffloadKind = "tso4" | "tso6" | "uso4" | "uso6";

/**
 * What the self-test found about a kind when the device was opened. `right`: a super-packet of it was cut by the kernel,
 * and passed through whole, byte for byte as it must be. `taken`: it was written without complaint, but could not be read
 * back. `unknown`: the kernel has no such kind (UDP needs Linux 6.2). The others are not used.
 */
export interface OffloadFinding {
  readonly kind: OffloadKind;
  readonly verdict: "right" | "taken" | "unknown" | "refused" | "wrong";
  /** Why it could not be read back, the kernel's error, or the first difference. */
  readonly detail?: string;
}

/** What `write` could not hand to the kernel since the device was opened. */
export interface TunStats {
  readonly readPackets: number;
  readonly writtenPackets: number;
  /** Frames that the kernel refused (EINVAL and the like): dropped. */
  readonly refusedPackets: number;
  /** Frames whose `virtio_net_hdr` the kernel refused: left to the caller. */
  readonly refusedOffloads: number;
  /** Frames that found the device's queue full: dropped. */
  readonly overflowPackets: number;
}

/** A TUN device: frames in, frames out, `[u16 big-endian length][frame]` back to back in a slab. */
export interface Tun {
  readonly name: string;
  readonly features: TunFeatures;
  /** One for each kind when offload was asked for, else none. */
  readonly offloadFindings: readonly OffloadFinding[];
  /**
   * Fills `slab[from, to)` with whole frames until the slab has no room for one more of the largest size
   * or the device has nothing more. Returns the bytes filled; 0: `onReadable` will be called.
   */
  read(slab: Uint8Array, from: number, to: number): number;
  /**
   * Writes the whole frames in `slab[from, to)` to the kernel and returns where it stopped. That is `to`, or the
   * beginning of a frame whose `virtio_net_hdr` the kernel refused, a super-packet in nearly every case: it may take the
   * packets that it stands for. What is not taken otherwise is counted in `stats` and dropped. Throws a `RangeError`
   * when the range does not hold whole frames.
   * `queue`: a number that stands for the sender, for a device with several queues that is not steered.
   */
  write(slab: Uint8Array, from: number, to: number, queue?: number): number;
  /** Called again and again while there is something to read and reading is not paused. */
  onReadable: (() => void) | undefined;
  /** Stops and restarts `onReadable`; while paused the kernel's own queue fills and drops. */
  pause(): void;
  resume(): void;
  stats(): TunStats;
  close(): void;
}
