/** The numbers of each flow of a `FlowTable`, one typed array a column; a slot is an index into all of them. */
import type { AddressWords, IpVersion } from "../shared/packet/address.ts";
import { carriesPorts, PROTO_ICMP, PROTO_ICMPV6 } from "../shared/packet/constants.ts";
import type { FlowTarget } from "../shared/packet/flow.ts";
import { KEY_WORDS } from "./flow-key.ts";

/** All that is known of one flow, for the audit log. */
export interface FlowRecord {
  readonly version: IpVersion;
  readonly protocol: number;
  readonly src: AddressWords;
  readonly dst: AddressWords;
  readonly hasPorts: boolean;
  /** 0 without ports. */
  readonly srcPort: number;
  readonly dstPort: number;
  /** ICMP or ICMPv6 type and identifier of the client's message; -1 and 0 for other protocols. */
  readonly icmpType: number;
  readonly icmpId: number;
  /** The first and the last packet, on the clock that the table was given, milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly upPackets: number;
  readonly upBytes: number;
  readonly downPackets: number;
  readonly downBytes: number;
  readonly verdict: number;
}

class TargetView implements FlowTarget {
  version: 4 | 6 = 4;
  protocol = 0;
  dst0 = 0;
  dst1 = 0;
  dst2 = 0;
  dst3 = 0;
  hasPorts = false;
  dstPort = 0;
  icmpType = -1;
}

export class FlowColumns {
  readonly capacity: number;
  readonly keys: Int32Array;
  readonly verdicts: Int32Array;
  readonly firstMs: Float64Array;
  readonly lastMs: Float64Array;
  /** Bits of `FlowTable`: the TCP state, and whether the flow was cut. */
  readonly states: Uint8Array;
  /** 1: there was a packet since the clock's hand came by. */
  readonly recent: Uint8Array;
  /** Four numbers a slot: packets and bytes up, packets and bytes down. Exact to 2^53. */
  readonly #traffic: Float64Array;
  readonly #target = new TargetView();

  constructor(capacity: number) {
    this.capacity = capacity;
    this.keys = new Int32Array(capacity * KEY_WORDS);
    this.verdicts = new Int32Array(capacity);
    this.firstMs = new Float64Array(capacity);
    this.lastMs = new Float64Array(capacity);
    this.states = new Uint8Array(capacity);
    this.recent = new Uint8Array(capacity);
    this.#traffic = new Float64Array(4 * capacity);
  }

  /** A copy with more room. */
  grown(capacity: number): FlowColumns {
    const larger = new FlowColumns(capacity);
    larger.keys.set(this.keys);
    larger.verdicts.set(this.verdicts);
    larger.firstMs.set(this.firstMs);
    larger.lastMs.set(this.lastMs);
    larger.states.set(this.states);
    larger.recent.set(this.recent);
    larger.#traffic.set(this.#traffic);
    return larger;
  }

  start(slot: number, key: Int32Array, verdict: number, nowMs: number): void {
    this.keys.set(key, slot * KEY_WORDS);
    this.verdicts[slot] = verdict;
    this.firstMs[slot] = nowMs;
    this.lastMs[slot] = nowMs;
    this.states[slot] = 0;
    this.recent[slot] = 0;
    this.#traffic.fill(0, 4 * slot, 4 * slot + 4);
  }

  /** The slot is free: no key has version 0. */
  end(slot: number): void {
    this.keys[slot * KEY_WORDS + 9] = 0;
  }

  isUsed(slot: number): boolean {
    return this.keys[slot * KEY_WORDS + 9] !== 0;
  }

  protocol(slot: number): number {
    return this.keys[slot * KEY_WORDS + 9]! & 0xff;
  }

  copyKey(slot: number, key: Int32Array): void {
    const at = slot * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) key[i] = this.keys[at + i]!;
  }

  /** The flow as a policy judges it: one object, valid until the next call. */
  target(slot: number): FlowTarget {
    const target = this.#target;
    const at = slot * KEY_WORDS;
    const keys = this.keys;
    const protocol = this.protocol(slot);
    const version = keys[at + 9]! >>> 8 === 6 ? 6 : 4;
    const icmp = protocol === (version === 4 ? PROTO_ICMP : PROTO_ICMPV6);
    target.version = version;
    target.protocol = protocol;
    target.dst0 = keys[at + 4]! >>> 0;
    target.dst1 = keys[at + 5]! >>> 0;
    target.dst2 = keys[at + 6]! >>> 0;
    target.dst3 = keys[at + 7]! >>> 0;
    target.hasPorts = carriesPorts(protocol);
    target.dstPort = target.hasPorts ? keys[at + 8]! & 0xffff : 0;
    target.icmpType = icmp ? keys[at + 8]! >>> 16 : -1;
    return target;
  }

  countUp(slot: number, bytes: number, nowMs: number): void {
    this.#count(slot, 4 * slot, bytes, nowMs);
  }

  countDown(slot: number, bytes: number, nowMs: number): void {
    this.#count(slot, 4 * slot + 2, bytes, nowMs);
  }

  record(slot: number): FlowRecord {
    const at = slot * KEY_WORDS;
    const word = (i: number): number => this.keys[at + i]! >>> 0;
    const protocol = this.protocol(slot);
    const version = word(9) >>> 8 === 6 ? 6 : 4;
    const icmp = protocol === (version === 4 ? PROTO_ICMP : PROTO_ICMPV6);
    const traffic = 4 * slot;
    return {
      version,
      protocol,
      src: [word(0), word(1), word(2), word(3)],
      dst: [word(4), word(5), word(6), word(7)],
      hasPorts: carriesPorts(protocol),
      srcPort: icmp ? 0 : word(8) >>> 16,
      dstPort: icmp ? 0 : word(8) & 0xffff,
      icmpType: icmp ? word(8) >>> 16 : -1,
      icmpId: icmp ? word(8) & 0xffff : 0,
      firstMs: this.firstMs[slot]!,
      lastMs: this.lastMs[slot]!,
      upPackets: this.#traffic[traffic]!,
      upBytes: this.#traffic[traffic + 1]!,
      downPackets: this.#traffic[traffic + 2]!,
      downBytes: this.#traffic[traffic + 3]!,
      verdict: this.verdicts[slot]!,
    };
  }

  #count(slot: number, at: number, bytes: number, nowMs: number): void {
    const traffic = this.#traffic;
    traffic[at] = traffic[at]! + 1;
    traffic[at + 1] = traffic[at + 1]! + bytes;
    this.lastMs[slot] = nowMs;
    this.recent[slot] = 1;
  }
}
