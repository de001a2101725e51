/**
 * Which flow the later fragments of a datagram belong to. They carry no ports, so they follow their first one
 * or are dropped (RFC 1858 says why nothing else is safe).
 *
 * A small ring a session and direction: the newest datagram takes the place of the oldest.
 */
import type { PacketView } from "../shared/packet/view.ts";
import { FRAGMENT_ENTRIES, FRAGMENT_MS } from "./constants.ts";

/** Words of a key: four of the source, four of the destination, the identification, the family and protocol. */
const KEY_WORDS = 10;
/** The family and protocol of a key for IPv4, without the protocol. */
const IPV4_KIND = 0x100;

interface Entries {
  readonly keys: Uint32Array;
  readonly slots: Int32Array;
  readonly seenMs: Float64Array;
}

export class FragmentTable {
  /** From the first fragment on: most sessions never have one. */
  #entries: Entries | undefined;
  #next = 0;

  /** The first fragment in `view` belongs to the flow in `slot`. */
  remember(view: PacketView, slot: number, nowMs: number): void {
    const entry = this.#next;
    this.#next = (entry + 1) % FRAGMENT_ENTRIES;
    const { keys, slots, seenMs } = (this.#entries ??= newEntries());
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
    keys[at + 9] = kindOf(view);
    slots[entry] = slot;
    seenMs[entry] = nowMs;
  }

  /** The flow of the later fragment in `view`: that of the newest first one; -1 when there was none lately. */
  find(view: PacketView, nowMs: number): number {
    if (this.#entries === undefined) return -1;
    const { keys, slots, seenMs } = this.#entries;
    const kind = kindOf(view);
    for (let age = 1; age <= FRAGMENT_ENTRIES; age++) {
      const entry = (this.#next + FRAGMENT_ENTRIES - age) % FRAGMENT_ENTRIES;
      const at = entry * KEY_WORDS;
      if (
        keys[at + 8] === view.fragmentId &&
        keys[at + 9] === kind &&
        keys[at + 7] === view.dst3 &&
        keys[at + 3] === view.src3 &&
        keys[at + 6] === view.dst2 &&
        keys[at + 5] === view.dst1 &&
        keys[at + 4] === view.dst0 &&
        keys[at + 2] === view.src2 &&
        keys[at + 1] === view.src1 &&
        keys[at] === view.src0
      ) {
        return nowMs - seenMs[entry]! < FRAGMENT_MS ? slots[entry]! : -1;
      }
    }
    return -1;
  }

  /** The flow in `slot` is gone: its fragments are orphans. */
  forget(slot: number): void {
    if (this.#entries === undefined) return;
    const { slots } = this.#entries;
    for (let entry = 0; entry < FRAGMENT_ENTRIES; entry++) {
      if (slots[entry] === slot) slots[entry] = -1;
    }
  }
}

function newEntries(): Entries {
  return {
    keys: new Uint32Array(FRAGMENT_ENTRIES * KEY_WORDS),
    slots: new Int32Array(FRAGMENT_ENTRIES).fill(-1),
    seenMs: new Float64Array(FRAGMENT_ENTRIES),
  };
}

/** An identification is unique for one protocol in IPv4 (RFC 6864 section 4), for all in IPv6 (RFC 8200 section 4.5). */
function kindOf(view: PacketView): number {
  return view.version === 4 ? IPV4_KIND | view.protocol : 0;
}
