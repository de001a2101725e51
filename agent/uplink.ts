/**
 * From the TUN device into the lanes.
 *
 *   device readable ▸ fill a slab ▸ gather its frames by lane ▸ one write a lane
 *   a lane congested ▸ stop reading the device ▸ all lanes drained ▸ read again
 *
 * While reading is stopped the kernel's own queue fills and drops, which is the signal that TCP inside needs.
 */
import type { Tun } from "../shared/native/tun.ts";
import { PacketView } from "../shared/packet/view.ts";
import { SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import type { LaneSender } from "../shared/tunnel/lane-sender.ts";
import { LaneSet } from "../shared/tunnel/lane-set.ts";
import { newSlab } from "../shared/tunnel/slab.ts";

export interface UplinkStats {
  readonly frames: number;
  readonly bytes: number;
  /** Frames that found a lane's backlog full. */
  readonly dropped: number;
  /** Frames whose packet no IP stack would make. */
  readonly malformed: number;
}

export class Uplink {
  readonly #tun: Tun;
  readonly #slab = newSlab();
  readonly #view = new PacketView();
  #set: LaneSet | undefined;
  #senders: readonly LaneSender[] = [];
  #frames = 0;
  #bytes = 0;
  #dropped = 0;
  #malformed = 0;

  constructor(tun: Tun) {
    this.#tun = tun;
    tun.pause();
    tun.onReadable = () => this.#read();
  }

  /** Sends what the device reads over these lanes from now on. */
  start(senders: readonly LaneSender[]): void {
    this.#senders = senders;
    this.#set = new LaneSet(senders.length);
    for (const sender of senders) sender.onDrained = () => this.#resumeWhenDrained(senders);
    this.#tun.resume();
  }

  /** Stops reading the device: what the kernel queues meanwhile waits for the next `start`. */
  stop(): void {
    this.#tun.pause();
    this.#set = undefined;
    this.#senders = [];
  }

  /** Throws away what the device has queued: it is too old to be worth sending. */
  discardQueued(): void {
    while (this.#tun.read(this.#slab, SLAB_HEADROOM, this.#slab.length) > 0);
  }

  stats(): UplinkStats {
    return { frames: this.#frames, bytes: this.#bytes, dropped: this.#dropped, malformed: this.#malformed };
  }

  #read(): void {
    const set = this.#set;
    if (set === undefined) return;
    const bytes = this.#tun.read(this.#slab, SLAB_HEADROOM, this.#slab.length);
    if (bytes === 0) return;
    this.#bytes += bytes;
    set.gather(this.#view, this.#slab, SLAB_HEADROOM, SLAB_HEADROOM + bytes, this.#tun.features.vnetHeader);
    this.#malformed += set.malformed;
    let congested = false;
    for (let lane = 0; lane < this.#senders.length; lane++) {
      const runs = set.lanes[lane]!;
      if (runs.count === 1) continue;
      const sender = this.#senders[lane]!;
      this.#frames += runs.frames;
      this.#dropped += sender.send(this.#slab, runs);
      congested ||= sender.congested;
    }
    if (congested) this.#tun.pause();
  }

  #resumeWhenDrained(senders: readonly LaneSender[]): void {
    if (senders !== this.#senders || senders.some((sender) => sender.congested)) return;
    this.#tun.resume();
  }
}
