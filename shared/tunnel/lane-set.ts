/**
 * Which lane each frame of a slab goes to: one pass over the slab, packet header, hash of the flow, and the
 * lane's list of runs. A lost QUIC packet then holds up only the flows of its own lane.
 */
import { laneHash } from "../packet/flow-hash.ts";
import type { FlowTuple } from "../packet/flow-hash.ts";
import type { PacketView } from "../packet/view.ts";
import { FRAME_HEADER, MAX_LANES } from "./constants.ts";
import { frameEnd, packetOffset } from "./frame.ts";
import { RunList } from "./run-list.ts";

/** No secret is needed: whoever chooses flows that meet on a lane holds up only himself. */
const LANE_SEED = 0x7a67_6174;

/**
 * The lane of a flow, from 0 to `lanes - 1`, the same for both directions, so that the answers find the lane open that
 * the agent opened for the flow. All fragments of a datagram get the same one.
 */
export function laneOf(tuple: FlowTuple, lanes: number): number {
  return lanes === 1 ? 0 : Math.floor(((laneHash(tuple, LANE_SEED) >>> 0) * lanes) / 2 ** 32);
}

export class LaneSet {
  /** One list a lane; valid until the next `gather`. */
  readonly lanes: readonly RunList[];
  /** Frames of the last `gather` whose packet was malformed; they are in no list. */
  malformed = 0;

  /** `count`: lanes, 1 to `MAX_LANES`. */
  constructor(count: number) {
    if (!Number.isInteger(count) || count < 1 || count > MAX_LANES) {
      throw new RangeError(`a session cannot have ${count} lanes: expected 1 to ${MAX_LANES}`);
    }
    this.lanes = Array.from({ length: count }, () => new RunList());
  }

  /**
   * Sorts the whole frames in `slab[from, to)` into the lists, in order. `view` is used to parse each packet.
   * `vnetHeader`: each frame begins with a `virtio_net_hdr`. A range that does not end with a whole frame
   * ends with the last whole one.
   */
  gather(view: PacketView, slab: Uint8Array, from: number, to: number, vnetHeader: boolean): void {
    for (const lane of this.lanes) lane.clear();
    this.malformed = 0;
    const skip = packetOffset(vnetHeader);
    let at = from;
    while (at + FRAME_HEADER <= to) {
      const next = frameEnd(slab, at);
      if (next > to) return;
      if (view.parse(slab, at + skip, next)) {
        this.lanes[laneOf(view, this.lanes.length)]!.add(at, next);
      } else {
        this.malformed++;
      }
      at = next;
    }
  }
}
