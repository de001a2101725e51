/**
 * From the clients to the network: every frame is judged, the allowed ones go to the TUN device in runs.
 *
 *   frame ▸ parse ▸ source address ▸ martians ▸ flow (known: its verdict; new: ask the policy) ▸ run ▸ device
 *             └────────────┴────────────┴───────────────┴─▶ dropped, counted; a denied flow is answered
 */
import { performance } from "node:perf_hooks";

import { isIcmpError } from "../shared/packet/icmp.ts";
import { isMartian } from "../shared/packet/martian.ts";
import { QuotedPacket } from "../shared/packet/quoted.ts";
import { PacketView } from "../shared/packet/view.ts";
import { VNET_HEADER } from "../shared/packet/vnet-header.ts";
import { CONTEXT_IP_PACKET, FRAME_HEADER, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import type { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { putFrameLength } from "../shared/tunnel/frame.ts";
import type { FrameReader } from "../shared/tunnel/frame.ts";
import type { FrameSink, LanePump, LaneSource } from "../shared/tunnel/lane-pump.ts";
import { OffloadCheck } from "../shared/tunnel/offload-check.ts";
import { newSlab } from "../shared/tunnel/slab.ts";
import { unixMs } from "../shared/units.ts";
import type { TunMtu } from "../shared/units.ts";
import type { Answers } from "./answers.ts";
import { COUNTER, malformedCounter } from "./counters.ts";
import type { CounterIndex, Counters } from "./counters.ts";
import type { FlowAudit } from "./flow-audit.ts";
import { isAllowed } from "./flow-verdict.ts";
import type { Session } from "./session.ts";

export interface UplinkParts {
  readonly device: DeviceWriter;
  /** The largest inner packet, bytes. */
  readonly mtu: TunMtu;
  readonly pump: LanePump;
  readonly counters: Counters;
  readonly answers: Answers;
  readonly flowAudit: FlowAudit;
}

/** How a lane ends. */
export interface LaneEvents {
  /** Between two frames. */
  onEnded(reason: string): void;
  /** Its client broke the framing. */
  onBroken(reason: string): void;
  /** A fault of ours, which this session shall bear alone. */
  onFailed(error: unknown): void;
}

export class Uplink {
  readonly #parts: UplinkParts;
  readonly #view = new PacketView();
  readonly #quoted = new QuotedPacket();
  readonly #offload: OffloadCheck;
  /** For packets that did not come in a frame. */
  readonly #datagramSlab = newSlab();

  constructor(parts: UplinkParts) {
    this.#parts = parts;
    this.#offload = new OffloadCheck(parts.mtu);
  }

  /** Reads a lane's frames, of at most `maxLength` bytes, from now on. */
  attach(session: Session, source: LaneSource, maxLength: number, events: LaneEvents): void {
    const sink: FrameSink = {
      frames: (slab, from, reader) => {
        try {
          this.#frames(session, slab, from, reader);
        } catch (error) {
          events.onFailed(error);
        }
      },
      ended: (reason) => events.onEnded(reason),
      broken: (reason) => events.onBroken(reason),
    };
    this.#parts.pump.attach(source, maxLength, sink, session.turns);
  }

  /** Takes an HTTP Datagram `bytes[from, to)`: a context id and a packet (RFC 9484 section 6). */
  datagram(session: Session, bytes: Uint8Array, from: number, to: number): void {
    if (session.ended || to - from < 2 || bytes[from] !== CONTEXT_IP_PACKET) return;
    const length = to - from - 1;
    const slab = this.#datagramSlab;
    const at = SLAB_HEADROOM + FRAME_HEADER;
    slab.set(bytes.subarray(from + 1, to), at);
    if (!this.#parse(session, slab, at, at + length)) return;
    const { device, mtu, answers } = this.#parts;
    const nowMs = performance.now();
    if (length > mtu && isOwnSource(session, this.#view)) {
      answers.oversize(session, mtu, this.#view, slab, nowMs);
      this.#drop(session, COUNTER.dropped.oversize);
      return;
    }
    if (!this.#admit(session, slab, nowMs)) return;
    putFrameLength(slab, SLAB_HEADROOM, length);
    device.write(slab, SLAB_HEADROOM, at + length, false, session.lease.slot);
  }

  #frames(session: Session, slab: Uint8Array, from: number, reader: FrameReader): void {
    const { device } = this.#parts;
    const vnet = session.agreement.offload === "gso";
    const skip = vnet ? VNET_HEADER : 0;
    const queue = session.lease.slot;
    const nowMs = performance.now();
    let runFrom = from;
    let runTo = from;
    while (!session.ended && reader.next()) {
      if (this.#parse(session, slab, reader.from + skip, reader.to)) {
        if (vnet) reader.fault = this.#offload.admit(this.#view, slab, reader.from);
        if (reader.fault !== undefined) break;
        if (this.#admit(session, slab, nowMs)) {
          runTo = reader.to;
          continue;
        }
      }
      if (runTo > runFrom) reader.cutPackets += device.write(slab, runFrom, runTo, vnet, queue);
      runFrom = runTo = reader.to;
    }
    if (runTo > runFrom) reader.cutPackets += device.write(slab, runFrom, runTo, vnet, queue);
  }

  #parse(session: Session, slab: Uint8Array, from: number, to: number): boolean {
    return this.#view.parse(slab, from, to) || this.#drop(session, malformedCounter(this.#view.fault));
  }

  /** Whether the packet in `#view` may go to the network. */
  #admit(session: Session, slab: Uint8Array, nowMs: number): boolean {
    const view = this.#view;
    if (!isOwnSource(session, view)) return this.#drop(session, COUNTER.dropped["source-address"]);
    if (isMartian(view.version, view.dst0, view.dst1, view.dst2, view.dst3)) {
      return this.#drop(session, COUNTER.dropped["destination-address"]);
    }
    const slot = this.#flowOf(session, slab, nowMs);
    if (slot === RELATED) return this.#pass(session);
    if (slot === UNAUDITED) return this.#drop(session, COUNTER.dropped["audit-fail-closed"]);
    if (slot === FLOODED) return this.#drop(session, COUNTER.dropped["flow-rate"]);
    if (slot === ORPHAN) return this.#drop(session, COUNTER.dropped["fragment-orphan"]);
    if (isAllowed(session.verdict(slot))) {
      if (session.rate.admitUp(view.totalLength, nowMs)) return this.#pass(session);
      return this.#drop(session, COUNTER.dropped["rate-limit"]);
    }
    this.#parts.answers.refuse(session, view, slab, nowMs);
    return this.#drop(session, COUNTER.dropped["policy-deny"]);
  }

  /** The slot of the packet's flow, on which it is counted, and which is opened when it is new; `ORPHAN`, `RELATED`, `UNAUDITED` or `FLOODED` when it has none. */
  #flowOf(session: Session, slab: Uint8Array, nowMs: number): number {
    const view = this.#view;
    const { flows } = session;
    let slot = view.isLaterFragment ? session.fragmentsUp.find(view, nowMs) : flows.find(view);
    if (slot >= 0) {
      flows.countUp(slot, view, nowMs);
    } else {
      if (view.isLaterFragment) return ORPHAN;
      if (isIcmpError(view.version, view.icmpType) && this.#isRelated(session, slab)) return RELATED;
      if (this.#parts.flowAudit.refusesTraffic) return UNAUDITED;
      if (!session.newFlows.take(1, nowMs)) return FLOODED;
      slot = this.#open(session, nowMs);
    }
    if (view.isFragment && !view.isLaterFragment) session.fragmentsUp.remember(view, slot, nowMs);
    return slot;
  }

  #open(session: Session, nowMs: number): number {
    const { counters, flowAudit } = this.#parts;
    const verdict = session.judge.policy.decide(this.#view, unixMs(Date.now()));
    const slot = session.flows.insert(this.#view, verdict, nowMs);
    session.flows.countUp(slot, this.#view, nowMs);
    counters.add(isAllowed(verdict) ? COUNTER.flows.allowed : COUNTER.flows.denied);
    if (!isAllowed(verdict)) flowAudit.denied(session, slot);
    return slot;
  }

  /** An ICMP error of the client about a packet that came to it in an allowed flow, back to who sent that packet. */
  #isRelated(session: Session, slab: Uint8Array): boolean {
    const view = this.#view;
    const quoted = this.#quoted;
    if (!quoted.parse(slab, view)) return false;
    const backToSender =
      quoted.src0 === view.dst0 && quoted.src1 === view.dst1 && quoted.src2 === view.dst2 && quoted.src3 === view.dst3;
    const slot = backToSender ? session.flows.findReply(quoted) : -1;
    return slot >= 0 && isAllowed(session.verdict(slot));
  }

  #pass(session: Session): true {
    session.up.packets++;
    session.up.bytes += this.#view.totalLength;
    this.#parts.counters.add(COUNTER.packets["from-client"]);
    this.#parts.counters.add(COUNTER.bytes["from-client"], this.#view.totalLength);
    return true;
  }

  #drop(session: Session, counter: CounterIndex): false {
    session.dropped++;
    this.#parts.counters.add(counter);
    return false;
  }
}

/** Instead of a slot: a fragment whose first one is not known. */
const ORPHAN = -1;
/** An ICMP error about an allowed flow. */
const RELATED = -2;
/** A new flow that could not be written to the audit. */
const UNAUDITED = -3;
/** One new flow too many. */
const FLOODED = -4;

function isOwnSource({ lease }: Session, view: PacketView): boolean {
  const own = view.version === 4 ? lease.ipv4 : lease.ipv6;
  return view.src3 === own[3] && view.src2 === own[2] && view.src1 === own[1] && view.src0 === own[0];
}
