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
import { VNET_HEADER } from "../shared/packet/vnet-header.ts";
import { FRAME_HEADER, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import { frameEnd } from "../shared/tunnel/frame.ts";
import { FrameSegmenter } from "../shared/tunnel/frame-segmenter.ts";
import type { LaneSender } from "../shared/tunnel/lane-sender.ts";
import { LaneSet } from "../shared/tunnel/lane-set.ts";
import type { SessionAgreement } from "../shared/tunnel/negotiation.ts";
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
  /** The frame that is cut; `#send` may run before it is done with. */
  readonly #view = new PacketView();
  readonly #sentView = new PacketView();
  #set: LaneSet | undefined;
  /** The device has offload and the relay does not. */
  #segmenter: FrameSegmenter | undefined;
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
  start(senders: readonly LaneSender[], agreement: SessionAgreement): void {
    const segments = this.#tun.features.vnetHeader && agreement.offload === "none";
    this.#segmenter = segments ? new FrameSegmenter() : undefined;
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
    const slab = this.#slab;
    const bytes = this.#tun.read(slab, SLAB_HEADROOM, slab.length);
    if (bytes === 0) return;
    this.#bytes += bytes;
    const end = SLAB_HEADROOM + bytes;
    const segmenter = this.#segmenter;
    if (segmenter === undefined) this.#send(set, slab, end, this.#tun.features.vnetHeader);
    else this.#segment(set, segmenter, slab, end);
  }

  /** Cuts the super-packets of `slab` and sends what comes of them. */
  #segment(set: LaneSet, segmenter: FrameSegmenter, slab: Uint8Array, end: number): void {
    for (let at = SLAB_HEADROOM; at < end;) {
      const header = at + FRAME_HEADER;
      at = frameEnd(slab, at);
      if (!this.#view.parse(slab, header + VNET_HEADER, at)) {
        this.#malformed++;
        continue;
      }
      if (segmenter.add(this.#view, slab, header)) continue;
      this.#send(set, segmenter.slab, segmenter.end, false);
      segmenter.clear();
      segmenter.add(this.#view, slab, header);
    }
    this.#send(set, segmenter.slab, segmenter.end, false);
    segmenter.clear();
  }

  /** Sends the frames `slab[SLAB_HEADROOM, end)`, one write a lane. */
  #send(set: LaneSet, slab: Uint8Array, end: number, vnetHeader: boolean): void {
    set.gather(this.#sentView, slab, SLAB_HEADROOM, end, vnetHeader);
    this.#malformed += set.malformed;
    let congested = false;
    for (let lane = 0; lane < this.#senders.length; lane++) {
      const runs = set.lanes[lane]!;
      if (runs.count === 1) continue;
      const sender = this.#senders[lane]!;
      this.#frames += runs.frames;
      this.#dropped += sender.send(slab, runs);
      congested ||= sender.congested;
    }
    if (congested) this.#tun.pause();
  }

  #resumeWhenDrained(senders: readonly LaneSender[]): void {
    if (senders !== this.#senders || senders.some((sender) => sender.congested)) return;
    this.#tun.resume();
  }
}
