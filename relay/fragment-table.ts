/**
 * Which flow the later fragments of a datagram belong to. They carry no ports, so they follow their first one
 * or are dropped (RFC 1858 says why nothing else is safe).
 *
 * A small ring a session and direction: the newest datagram takes the place of the oldest.
 */
import type { PacketView } from "../shared/packet/view.ts";
import { FRAGMENT_ENTRIES, FRAGMENT_MS } from "./constants.ts";

/** Words of a key: four of the source, four of the destination, the identification. */
const KEY_WORDS = 9;

export class FragmentTable {
  /** Source, destination and identification of each entry. */
  readonly #keys = new Uint32Array(FRAGMENT_ENTRIES * KEY_WORDS);
  readonly #slots = new Int32Array(FRAGMENT_ENTRIES).fill(-1);
  readonly #seenMs = new Float64Array(FRAGMENT_ENTRIES);
  #next = 0;

  /** The first fragment in `view` belongs to the flow in `slot`. */
  remember(view: PacketView, slot: number, nowMs: number): void {
    const entry = this.#next;
    this.#next = (entry + 1) % FRAGMENT_ENTRIES;
    const keys = this.#keys;
    const at = entry * KEY_WORDS;
    keys[at] = view.src0;
    keys[at + 1] = view.src1;
    keys[at + 2] = view.src2;
    keys[at + 3] = view.src3;
    keys[at + 4] = view.dst0;
    keys[at + 5] = view.dst1;
    keys[at + 6] = view.dst2;
    keys[at + 7] = view.dst3;
    keys[at + 8] = view.fragmentId;
    this.#slots[entry] = slot;
    this.#seenMs[entry] = nowMs;
  }

  /** The flow of the later fragment in `view`; -1 when its first one was not seen lately. */
  find(view: PacketView, nowMs: number): number {
    const keys = this.#keys;
    for (let entry = 0, at = 0; entry < FRAGMENT_ENTRIES; entry++, at += KEY_WORDS) {
      if (
        keys[at + 8] === view.fragmentId &&
        keys[at + 7] === view.dst3 &&
        keys[at + 3] === view.src3 &&
        keys[at + 6] === view.dst2 &&
        keys[at + 5] === view.dst1 &&
        keys[at + 4] === view.dst0 &&
        keys[at + 2] === view.src2 &&
        keys[at + 1] === view.src1 &&
        keys[at] === view.src0 &&
        nowMs - this.#seenMs[entry]! < FRAGMENT_MS
      ) {
        return this.#slots[entry]!;
      }
    }
    return -1;
  }

  /** The flow in `slot` is gone: its fragments are orphans. */
  forget(slot: number): void {
    for (let entry = 0; entry < FRAGMENT_ENTRIES; entry++) {
      if (this.#slots[entry] === slot) this.#slots[entry] = -1;
    }
  }
}
