/**
 * From the network to the clients: every packet that the TUN device reads goes to the session whose tunnel
 * address it is for, when it belongs to a flow that the session's client opened.
 *
 *   device readable ▸ fill a slab ▸ frame: parse ▸ session by address ▸ flow ▸ carrier.add ▸ … ▸ flush each
 */
import { performance } from "node:perf_hooks";

import type { Tun } from "../shared/native/tun.ts";
import { isIcmpError } from "../shared/packet/icmp.ts";
import { QuotedPacket } from "../shared/packet/quoted.ts";
import { PacketView } from "../shared/packet/view.ts";
import { FRAME_HEADER, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import { frameEnd, packetOffset } from "../shared/tunnel/frame.ts";
import { FrameSegmenter } from "../shared/tunnel/frame-segmenter.ts";
import { newSlab } from "../shared/tunnel/slab.ts";
import type { Answers } from "./answers.ts";
import { COUNTER, malformedCounter } from "./counters.ts";
import type { CounterIndex, Counters } from "./counters.ts";
import { DatagramCarrier } from "./datagram-carrier.ts";
import { isAllowed } from "./flow-verdict.ts";
import type { LeasePool } from "./lease-pool.ts";
import type { SessionRegistry } from "./session-registry.ts";
import type { Session } from "./session.ts";

export interface DownlinkParts {
  readonly tun: Tun;
  readonly pool: LeasePool;
  readonly sessions: SessionRegistry;
  readonly counters: Counters;
  readonly answers: Answers;
}

export class Downlink {
  readonly #parts: DownlinkParts;
  readonly #slab = newSlab();
  readonly #view = new PacketView();
  readonly #quoted = new QuotedPacket();
  /** Bytes of a frame in front of its packet. */
  readonly #frameHeader: number;
  /** The device has offload: what sessions without it get. */
  readonly #segmenter: FrameSegmenter | undefined;
  /** Sessions that have frames since the last flush: with the device's frames, and with segmented ones. */
  readonly #touched: Session[] = [];
  readonly #touchedSegmented: Session[] = [];

  /** Reads the device from now on. */
  constructor(parts: DownlinkParts) {
    this.#parts = parts;
    const { vnetHeader } = parts.tun.features;
    this.#frameHeader = packetOffset(vnetHeader);
    this.#segmenter = vnetHeader ? new FrameSegmenter() : undefined;
    parts.tun.onReadable = () => this.#read();
  }

  #read(): void {
    const slab = this.#slab;
    const bytes = this.#parts.tun.read(slab, SLAB_HEADROOM, slab.length);
    if (bytes === 0) return;
    const nowMs = performance.now();
    const end = SLAB_HEADROOM + bytes;
    for (let at = SLAB_HEADROOM; at < end;) {
      const next = frameEnd(slab, at);
      this.#frame(at, next, nowMs);
      at = next;
    }
    this.#flush(this.#touched, slab);
    if (this.#segmenter !== undefined) this.#flushSegmented(this.#segmenter);
  }

  #flush(touched: Session[], slab: Uint8Array): void {
    for (const session of touched) {
      session.touched = false;
      const dropped = session.carrier.flush(slab);
      if (dropped === 0) continue;
      session.dropped += dropped;
      this.#parts.counters.add(COUNTER.dropped["queue-full"], dropped);
    }
    touched.length = 0;
  }

  #flushSegmented(segmenter: FrameSegmenter): void {
    this.#flush(this.#touchedSegmented, segmenter.slab);
    segmenter.clear();
  }

  #frame(from: number, to: number, nowMs: number): void {
    const { counters, pool, sessions } = this.#parts;
    const view = this.#view;
    if (!view.parse(this.#slab, from + this.#frameHeader, to)) {
      counters.add(malformedCounter(view.fault));
      return;
    }
    const session = sessions.at(pool.slotOf(view.version, view.dst0, view.dst1, view.dst2, view.dst3));
    if (session === undefined) {
      counters.add(COUNTER.dropped["no-route"]);
      return;
    }
    const refusal = this.#refusalOf(session, from + FRAME_HEADER, nowMs);
    if (refusal !== undefined) {
      session.dropped++;
      counters.add(refusal);
      return;
    }
    session.down.packets++;
    session.down.bytes += view.totalLength;
    counters.add(COUNTER.packets["to-client"]);
    counters.add(COUNTER.bytes["to-client"], view.totalLength);
    if (this.#segmenter !== undefined && session.agreement.offload === "none") {
      this.#addSegmented(session, this.#segmenter, from + FRAME_HEADER);
      return;
    }
    touch(session, this.#touched);
    session.carrier.add(view, this.#slab, from, to);
  }

  #addSegmented(session: Session, segmenter: FrameSegmenter, header: number): void {
    let at = segmenter.end;
    if (!segmenter.add(this.#view, this.#slab, header)) {
      this.#flushSegmented(segmenter);
      at = segmenter.end;
      segmenter.add(this.#view, this.#slab, header);
    }
    touch(session, this.#touchedSegmented);
    const { slab, end } = segmenter;
    while (at < end) {
      const next = frameEnd(slab, at);
      session.carrier.add(this.#view, slab, at, next);
      at = next;
    }
  }

  /** Why the packet in `view` may not go to its client; undefined when it may. */
  #refusalOf(session: Session, header: number, nowMs: number): CounterIndex | undefined {
    const view = this.#view;
    const { flows, carrier } = session;
    const slot = this.#flowOf(session, nowMs);
    if (slot < 0) return view.isLaterFragment ? COUNTER.dropped["fragment-orphan"] : COUNTER.dropped["no-flow"];
    if (!isAllowed(session.verdict(slot))) {
      this.#parts.answers.cut(session, view, this.#slab, nowMs);
      return COUNTER.dropped["policy-deny"];
    }
    if (!session.rate.admitDown(view.totalLength, nowMs)) return COUNTER.dropped["rate-limit"];
    if (carrier instanceof DatagramCarrier && carrier.mtu > 0 && this.#packetSize(header) > carrier.mtu) {
      this.#parts.answers.tooBig(session, carrier.mtu, view, this.#slab, nowMs);
      return COUNTER.dropped.oversize;
    }
    flows.countDown(slot, view, nowMs);
    return undefined;
  }

  /** The packet in `view`, or the largest that its super-packet is cut into, in bytes. */
  #packetSize(header: number): number {
    return this.#segmenter?.packetSize(this.#view, this.#slab, header) ?? this.#view.totalLength;
  }

  /** The flow that the packet answers, or that the ICMP error is about; -1 when there is none. */
  #flowOf(session: Session, nowMs: number): number {
    const view = this.#view;
    if (view.isLaterFragment) return session.fragmentsDown.find(view, nowMs);
    const slot = session.flows.findReply(view);
    if (slot >= 0) {
      if (view.isFragment) session.fragmentsDown.remember(view, slot, nowMs);
      return slot;
    }
    if (!isIcmpError(view.version, view.icmpType) || !this.#quoted.parse(this.#slab, view)) return -1;
    return session.flows.find(this.#quoted);
  }
}

function touch(session: Session, touched: Session[]): void {
  if (session.touched) return;
  session.touched = true;
  touched.push(session);
}
