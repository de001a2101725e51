/**
 * A TUN device in memory: the test is the kernel behind it.
 *
 *   deliver ▸ queue ▸ read        what the kernel routes into the device
 *   write ▸ written               what the kernel is given
 *         ▸ refuses                 what it refuses
 */
import { putU16 } from "../packet/bytes.ts";
import type { OffloadFinding, Tun, TunFeatures, TunStats } from "./tun.ts";

/** Bytes of the length in front of each frame. */
const LENGTH = 2;
/** `read` stops when the slab has no room for a frame of this size, its length included. */
const LARGEST_FRAME = LENGTH + 0xffff;

const PLAIN: TunFeatures = { vnetHeader: false, tso4: false, tso6: false, uso4: false, uso6: false, steered: false };
const OFFLOAD: TunFeatures = { vnetHeader: true, tso4: true, tso6: true, uso4: true, uso6: true, steered: false };

export class FakeTun implements Tun {
  readonly name = "fake0";
  readonly features: TunFeatures;
  readonly offloadFindings: readonly OffloadFinding[] = [];
  /** The frames that the kernel refuses for their `virtio_net_hdr`. */
  refuses: (frame: Uint8Array) => boolean = () => false;
  /** The frames that were written, without their length; with offload, `virtio_net_hdr` included. */
  readonly written: Uint8Array[] = [];
  /** How many frames each `write` had. */
  readonly writes: number[] = [];
  paused = false;
  closed = false;
  readonly #queue: Uint8Array[] = [];
  #onReadable: (() => void) | undefined;
  #ringing = false;
  #readPackets = 0;
  #refusedOffloads = 0;

  /** `lacking`: what a device with offload has not, for all that. */
  constructor(offload: "plain" | "offload" = "plain", lacking: Partial<TunFeatures> = {}) {
    this.features = offload === "offload" ? { ...OFFLOAD, ...lacking } : PLAIN;
  }

  /** Frames that wait to be read. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Queues frames without their length; with offload each begins with its `virtio_net_hdr`. */
  deliver(...frames: readonly Uint8Array[]): void {
    this.#queue.push(...frames);
    this.#ring();
  }

  get onReadable(): (() => void) | undefined {
    return this.#onReadable;
  }

  set onReadable(handler: (() => void) | undefined) {
    this.#onReadable = handler;
    this.#ring();
  }

  read(slab: Uint8Array, from: number, to: number): number {
    let at = from;
    for (let frame = this.#queue[0]; frame !== undefined && at + LARGEST_FRAME <= to; frame = this.#queue[0]) {
      this.#queue.shift();
      this.#readPackets++;
      putU16(slab, at, frame.length);
      slab.set(frame, at + LENGTH);
      at += LENGTH + frame.length;
    }
    return at - from;
  }

  write(slab: Uint8Array, from: number, to: number): number {
    const frames: Uint8Array[] = [];
    let stopped = to;
    for (let at = from; at < to;) {
      const end = at + LENGTH + ((slab[at]! << 8) | slab[at + 1]!);
      if (end === at + LENGTH || end > to) throw new RangeError(`[${from}, ${to}) holds no whole frames`);
      const frame = slab.slice(at + LENGTH, end);
      if (stopped === to && this.refuses(frame)) {
        this.#refusedOffloads++;
        stopped = at;
      }
      if (stopped === to) frames.push(frame);
      at = end;
    }
    this.written.push(...frames);
    this.writes.push(frames.length);
    return stopped;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#ring();
  }

  stats(): TunStats {
    return {
      readPackets: this.#readPackets,
      writtenPackets: this.written.length,
      refusedPackets: 0,
      refusedOffloads: this.#refusedOffloads,
      overflowPackets: 0,
    };
  }

  close(): void {
    this.closed = true;
  }

  /** One event at a time, again and again while there is something to read. */
  #ring(): void {
    if (this.#ringing || this.#queue.length === 0) return;
    this.#ringing = true;
    setImmediate(() => {
      this.#ringing = false;
      if (this.paused || this.closed || this.#onReadable === undefined) return;
      this.#onReadable();
      this.#ring();
    });
  }
}
