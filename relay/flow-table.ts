/**
 * The flows of one session: what was decided about each, and its packets and bytes both ways.
 *
 *   packet ▸ key ▸ hash ▸ index (open addressing, linear probing) ▸ slot ▸ columns of numbers
 *
 * Finding, counting, and adding to a table that need not grow allocate nothing. The table has room from the
 * first flow on, and grows to `MAX_SESSION_FLOWS` as far as the budget of the process lets it; then a new flow
 * takes the place of an idle one of the same session, found by the clock (second chance): a flow with a packet
 * since the hand came by is passed over.
 *
 * A probe is never longer than `MAX_PROBES`: whoever makes flows that collide evicts his own and costs no time.
 */
import { randomInt } from "node:crypto";
import type { FlowTarget } from "../shared/packet/flow.ts";
import type { PacketView } from "../shared/packet/view.ts";
import { FIRST_FLOWS, FLOWS_A_ROW, MAX_PROBES, MAX_SESSION_FLOWS, ROW_WEIGHT } from "./constants.ts";
import { FLOW_BUDGET } from "./flow-budget.ts";
import type { FlowBudget } from "./flow-budget.ts";
import { FlowColumns } from "./flow-columns.ts";
import type { FlowRecord } from "./flow-columns.ts";
import { FlowDeadlines } from "./flow-deadlines.ts";
import { hashKey, isKeyAt, KEY_WORDS, putKey, putReplyKey } from "./flow-key.ts";
import type { FlowSource } from "./flow-key.ts";
import { FIN_DOWN, FIN_UP, idleLimit, stateAfter, TCP_ENDS } from "./flow-lifetime.ts";

/** Told of a flow that leaves the table, while its slot can still be read. It changes nothing in the table. */
export type FlowEnd = (slot: number) => void;

/** The key at hand, of any table: each call makes its own. */
const currentKey = new Int32Array(KEY_WORDS);

/** Of a table without flows; nothing is ever written to them. */
const NO_COLUMNS = new FlowColumns(0);
const NO_DEADLINES = new FlowDeadlines(0);
const NO_INDEX = new Int32Array(1);
const NO_SLOTS = new Int32Array(0);

export class FlowTable {
  /** Told of a flow that ends because a new one takes its place. */
  onEvicted: FlowEnd | undefined;

  readonly #budget: FlowBudget;
  readonly #seed: number;
  /** Slot + 1 at the position that a key hashes to or behind it; 0 is free. Twice as long as the columns. */
  #index = NO_INDEX;
  #columns = NO_COLUMNS;
  #deadlines = NO_DEADLINES;
  /** Slots under this were used before; those of them that are free are in `#free`. */
  #used = 0;
  #free = NO_SLOTS;
  #freeCount = 0;
  #hand = 0;
  /** Slots below it were ended by `clear`. */
  #cleared = 0;
  /** Slots below it have verdicts that hold; Infinity: all have. */
  #judged = Infinity;

  /** `seed`: a 32-bit number that the client does not know. */
  constructor(budget: FlowBudget = FLOW_BUDGET, seed: number = randomInt(2 ** 32)) {
    this.#budget = budget;
    this.#seed = seed | 0;
  }

  /** Flows in the table. */
  get size(): number {
    return this.#used - this.#freeCount;
  }

  /** The slot of the flow of a packet from the client; -1 when it is new. */
  find(packet: FlowSource): number {
    putKey(currentKey, packet);
    return this.#probe();
  }

  /** The slot of the flow that a packet to the client answers; -1 when it answers none. */
  findReply(packet: FlowSource): number {
    putReplyKey(currentKey, packet);
    return this.#probe();
  }

  /**
   * Adds the flow of a packet from the client that `find` did not find, and returns its slot. `verdict` is a
   * 32-bit number of the caller's. Counts nothing yet.
   */
  insert(packet: FlowSource, verdict: number, nowMs: number): number {
    if (this.size === this.#columns.capacity && !this.#grow()) this.#evict(this.#idlest());
    putKey(currentKey, packet);
    const position = this.#freePosition();
    const slot = this.#freeCount > 0 ? this.#free[--this.#freeCount]! : this.#used++;
    this.#index[position] = slot + 1;
    this.#columns.start(slot, currentKey, verdict, nowMs);
    this.#deadlines.lower(slot, this.#endOf(slot));
    return slot;
  }

  /** Counts a packet from the client, fragments too. */
  countUp(slot: number, view: PacketView, nowMs: number): void {
    this.#columns.countUp(slot, view.totalLength, nowMs);
    if ((view.tcpFlags & TCP_ENDS) !== 0) this.#note(slot, view.tcpFlags, FIN_UP);
  }

  /** Counts a packet to the client, fragments too. */
  countDown(slot: number, view: PacketView, nowMs: number): void {
    this.#columns.countDown(slot, view.totalLength, nowMs);
    if ((view.tcpFlags & TCP_ENDS) !== 0) this.#note(slot, view.tcpFlags, FIN_DOWN);
  }

  /** What `insert` or `judge` said last. */
  verdict(slot: number): number {
    return this.#columns.verdicts[slot]!;
  }

  /** Replaces the verdict of a flow. */
  judge(slot: number, verdict: number): void {
    this.#columns.verdicts[slot] = verdict;
  }

  /** No verdict holds any more: all flows are to be judged anew. */
  doubt(): void {
    this.#judged = this.#used > 0 ? 0 : Infinity;
  }

  /** False: what `verdict` says of the flow was said before `doubt`, or may have been. */
  isJudged(slot: number): boolean {
    return slot < this.#judged;
  }

  /** Visits flows that are not judged, at most `limit` of them, for `visit` to `judge`. Returns how many it visited. */
  sweep(visit: (slot: number) => void, limit: number): number {
    let visited = 0;
    while (this.#judged < this.#used && visited < limit) {
      const slot = this.#judged;
      if (this.#columns.isUsed(slot)) {
        visit(slot);
        visited++;
      }
      this.#judged = slot + 1;
    }
    if (this.#judged >= this.#used) this.#judged = Infinity;
    return visited;
  }

  /** The flow as a policy judges it: one object, valid until the next call. */
  target(slot: number): FlowTarget {
    return this.#columns.target(slot);
  }

  /** All that is known of a flow. */
  describe(slot: number): FlowRecord {
    return this.#columns.record(slot);
  }

  /** Calls `visit` with the slot of each flow, which it may `judge` or `remove`. It inserts none. */
  forEach(visit: (slot: number) => void): void {
    for (let slot = 0; slot < this.#used; slot++) {
      if (this.#columns.isUsed(slot)) visit(slot);
    }
  }

  /** Ends a flow. */
  remove(slot: number): void {
    this.#columns.copyKey(slot, currentKey);
    this.#unlink(this.#positionOf(slot));
    this.#release(slot);
  }

  /** Whether a flow may have been idle for longer than its protocol grants. */
  isDue(nowMs: number): boolean {
    return this.#deadlines.firstDue(nowMs) >= 0;
  }

  /**
   * Ends flows that were idle for longer than their protocol grants, as far as `work` allows: 1 for each that ends, and
   * `ROW_WEIGHT` for each row that was looked at. Returns the work that is left: none, when there may be more to end.
   */
  expire(nowMs: number, onEnd: FlowEnd, work = Infinity): number {
    let left = work;
    for (let row = this.#deadlines.firstDue(nowMs); row >= 0 && left > 0; row = this.#deadlines.firstDue(nowMs)) {
      left = this.#expireRow(row, nowMs, onEnd, left);
    }
    return Math.max(left, 0);
  }

  /**
   * Ends the flows of a session that is over, at most `limit` of them. True: none is left, and their room was given
   * back. Until then nothing else may be asked of the table.
   */
  clear(onEnd: FlowEnd, limit = Infinity): boolean {
    for (let left = limit; this.#cleared < this.#used; this.#cleared++) {
      if (!this.#columns.isUsed(this.#cleared)) continue;
      if (left-- === 0) return false;
      onEnd(this.#cleared);
    }
    this.#cleared = 0;
    this.#judged = Infinity;
    this.#budget.giveBack(Math.max(this.#columns.capacity - FIRST_FLOWS, 0));
    this.#columns = NO_COLUMNS;
    this.#deadlines = NO_DEADLINES;
    this.#index = NO_INDEX;
    this.#free = NO_SLOTS;
    this.#used = 0;
    this.#freeCount = 0;
    this.#hand = 0;
    return true;
  }

  /** A TCP flow that a side has closed ends sooner. */
  #note(slot: number, tcpFlags: number, fin: typeof FIN_UP | typeof FIN_DOWN): void {
    this.#columns.states[slot] = stateAfter(this.#columns.states[slot]!, tcpFlags, fin);
    this.#deadlines.lower(slot, this.#endOf(slot));
  }

  /** When the flow ends unless it has another packet. */
  #endOf(slot: number): number {
    return this.#columns.lastMs[slot]! + idleLimit(this.#columns.protocol(slot), this.#columns.states[slot]!);
  }

  /** Ends the flows of a row whose time is over. Returns the work that is left; with none the row may not be done. */
  #expireRow(row: number, nowMs: number, onEnd: FlowEnd, work: number): number {
    let left = work;
    let earliest = Infinity;
    const end = Math.min((row + 1) * FLOWS_A_ROW, this.#used);
    for (let slot = row * FLOWS_A_ROW; slot < end; slot++) {
      if (!this.#columns.isUsed(slot)) continue;
      const endMs = this.#endOf(slot);
      if (endMs >= nowMs) {
        earliest = Math.min(earliest, endMs);
        continue;
      }
      if (left <= 0) return 0;
      onEnd(slot);
      this.remove(slot);
      left--;
    }
    this.#deadlines.put(row, earliest);
    return left - ROW_WEIGHT;
  }

  /** The slot of the flow whose key is in `currentKey`. */
  #probe(): number {
    const index = this.#index;
    const keys = this.#columns.keys;
    const mask = index.length - 1;
    let position = hashKey(currentKey, this.#seed) & mask;
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const entry = index[position]!;
      if (entry === 0) return -1;
      if (isKeyAt(currentKey, keys, (entry - 1) * KEY_WORDS)) return entry - 1;
      position = (position + 1) & mask;
    }
    return -1;
  }

  /**
   * A free position for the key in `currentKey`. When all that a probe would look at are taken, the flow at the
   * first of them ends: the newcomer stands where it stood, so every other flow is still found.
   */
  #freePosition(): number {
    const mask = this.#index.length - 1;
    const home = hashKey(currentKey, this.#seed) & mask;
    for (let probes = 0; probes < MAX_PROBES; probes++) {
      const position = (home + probes) & mask;
      if (this.#index[position] === 0) return position;
    }
    const victim = this.#index[home]! - 1;
    this.onEvicted?.(victim);
    this.#release(victim);
    return home;
  }

  /** Where the index has `slot`, whose key is in `currentKey`. */
  #positionOf(slot: number): number {
    const mask = this.#index.length - 1;
    let position = hashKey(currentKey, this.#seed) & mask;
    while (this.#index[position] !== slot + 1) position = (position + 1) & mask;
    return position;
  }

  /** Frees a position and moves up those behind it that were displaced by it, so that no probe stops early. */
  #unlink(position: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let hole = position;
    for (let next = (hole + 1) & mask; index[next] !== 0; next = (next + 1) & mask) {
      this.#columns.copyKey(index[next]! - 1, currentKey);
      const home = hashKey(currentKey, this.#seed) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      index[hole] = index[next]!;
      hole = next;
    }
    index[hole] = 0;
  }

  #evict(slot: number): void {
    this.onEvicted?.(slot);
    this.remove(slot);
  }

  #release(slot: number): void {
    this.#columns.end(slot);
    this.#free[this.#freeCount++] = slot;
  }

  /** The first slot from the hand on that had no packet since the hand last came by. All slots are in use. */
  #idlest(): number {
    const { recent, capacity } = this.#columns;
    while (recent[this.#hand] === 1) {
      recent[this.#hand] = 0;
      this.#hand = (this.#hand + 1) % capacity;
    }
    const slot = this.#hand;
    this.#hand = (this.#hand + 1) % capacity;
    return slot;
  }

  /** Makes the first room, for which no budget is asked, or doubles it. False when it is as large as it may be. */
  #grow(): boolean {
    const { capacity } = this.#columns;
    const larger = capacity === 0 ? FIRST_FLOWS : 2 * capacity;
    if (larger > MAX_SESSION_FLOWS || !this.#budget.take(capacity)) return false;
    this.#columns = this.#columns.grown(larger);
    this.#deadlines = this.#deadlines.grown(larger);
    this.#free = new Int32Array(larger);
    this.#index = new Int32Array(2 * larger);
    for (let slot = 0; slot < capacity; slot++) {
      this.#columns.copyKey(slot, currentKey);
      this.#index[this.#freePosition()] = slot + 1;
    }
    return true;
  }
}
