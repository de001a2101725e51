/**
 * How a session's packets travel to its client: on lanes, or as HTTP Datagrams (`datagram-carrier.ts`).
 *
 *   add, add, … ▸ the frames of one slab, sorted by lane ▸ flush ▸ one write a lane
 */
import type { PacketView } from "../shared/packet/view.ts";
import type { LaneSender } from "../shared/tunnel/lane-sender.ts";
import { laneOf } from "../shared/tunnel/lane-set.ts";
import { RunList } from "../shared/tunnel/run-list.ts";

/** What the relay forwards through. The slab is the same from the first `add` to `flush`. */
export interface Carrier {
  /** Takes the frame `slab[from, to)`, its length field included, whose packet is in `view`. */
  add(view: PacketView, slab: Uint8Array, from: number, to: number): void;
  /** Sends what was added; the slab's headroom is overwritten. Returns how many frames were dropped. */
  flush(slab: Uint8Array): number;
  /** Sends one frame of any slab, before those that were added; that slab's headroom is overwritten. False: dropped. */
  sendNow(view: PacketView, slab: Uint8Array, from: number, to: number): boolean;
}

/** One list for all sessions: it is used within one synchronous call. */
const single = new RunList();

export class LaneCarrier implements Carrier {
  readonly #senders: (LaneSender | undefined)[];
  readonly #runs: (RunList | undefined)[];
  /** Lanes that have frames since the last `flush`. */
  readonly #touched: number[] = [];
  #open = 0;
  /** The lane that was opened first: what is for a lane that is not open goes there. */
  #first = 0;

  constructor(lanes: number) {
    this.#senders = Array.from({ length: lanes });
    this.#runs = Array.from({ length: lanes });
  }

  /** Lanes that the agent has opened. */
  get open(): number {
    return this.#open;
  }

  hasLane(lane: number): boolean {
    return this.#senders[lane] !== undefined;
  }

  openLane(lane: number, sender: LaneSender): void {
    if (this.#open === 0) this.#first = lane;
    this.#senders[lane] = sender;
    this.#open++;
  }

  add(view: PacketView, _slab: Uint8Array, from: number, to: number): void {
    const lane = this.#laneFor(view);
    const runs = (this.#runs[lane] ??= new RunList());
    if (runs.count === 1) this.#touched.push(lane);
    runs.add(from, to);
  }

  flush(slab: Uint8Array): number {
    let dropped = 0;
    for (const lane of this.#touched) {
      const runs = this.#runs[lane]!;
      const sender = this.#senders[lane];
      dropped += sender === undefined ? runs.frames : sender.send(slab, runs);
      runs.clear();
    }
    this.#touched.length = 0;
    return dropped;
  }

  sendNow(view: PacketView, slab: Uint8Array, from: number, to: number): boolean {
    single.clear();
    single.add(from, to);
    return this.#senders[this.#laneFor(view)]?.send(slab, single) === 0;
  }

  #laneFor(view: PacketView): number {
    const lane = laneOf(view, this.#senders.length);
    return this.#senders[lane] === undefined ? this.#first : lane;
  }
}
