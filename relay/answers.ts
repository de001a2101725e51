/**
 * Packets that the relay makes itself, so that programs fail at once instead of waiting: ICMP errors and TCP
 * resets, to the client or to whoever sent to it. Limited for each session (RFC 4443 section 2.4 f).
 */
import type { Tun } from "../shared/native/tun.ts";
import { PROTO_TCP, TCP_SYN } from "../shared/packet/constants.ts";
import { ICMP_PROHIBITED, ICMP_TOO_BIG, MAX_ICMP_ERROR, writeIcmpError } from "../shared/packet/icmp.ts";
import { writeTcpReset, writeTcpResetOnward } from "../shared/packet/tcp-reset.ts";
import { PacketView } from "../shared/packet/view.ts";
import { FRAME_HEADER, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import { packetOffset, putFrameLength } from "../shared/tunnel/frame.ts";
import type { AddressWords } from "../shared/packet/address.ts";
import { COUNTER } from "./counters.ts";
import type { CounterIndex, Counters } from "./counters.ts";
import type { Session } from "./session.ts";

/** The relay's own tunnel addresses, which answers come from. */
export interface RelayAddresses {
  readonly ipv4: AddressWords;
  readonly ipv6: AddressWords;
}

export class Answers {
  readonly #tun: Tun;
  readonly #addresses: RelayAddresses;
  readonly #counters: Counters;
  readonly #out = new Uint8Array(SLAB_HEADROOM + packetOffset(true) + MAX_ICMP_ERROR);
  readonly #view = new PacketView();

  constructor(tun: Tun, addresses: RelayAddresses, counters: Counters) {
    this.#tun = tun;
    this.#addresses = addresses;
    this.#counters = counters;
  }

  /**
   * Tells the client that its packet in `view` may not pass: a TCP connection in progress is reset, everything
   * else gets ICMP "administratively prohibited".
   */
  refuse(session: Session, view: PacketView, slab: Uint8Array, nowMs: number): void {
    if (!this.#admit(session, nowMs)) return;
    const at = this.#packetAt(session.agreement.offload === "gso");
    const inProgress = view.protocol === PROTO_TCP && (view.tcpFlags & TCP_SYN) === 0;
    const reset = inProgress ? writeTcpReset(view, slab, this.#out, at) : 0;
    if (reset > 0) {
      this.#toClient(session, at, reset, COUNTER.answers["tcp-reset"]);
      return;
    }
    const length = writeIcmpError(ICMP_PROHIBITED, 0, view, slab, this.#source(view), this.#out, at);
    this.#toClient(session, at, length, COUNTER.answers["icmp-prohibited"]);
  }

  /** Resets the client's end of a TCP connection, whose next segment to it is in `view`: it may be waiting for it. */
  cut(session: Session, view: PacketView, slab: Uint8Array, nowMs: number): void {
    if (view.protocol !== PROTO_TCP || !this.#admit(session, nowMs)) return;
    const at = this.#packetAt(session.agreement.offload === "gso");
    this.#toClient(session, at, writeTcpResetOnward(view, slab, this.#out, at), COUNTER.answers["tcp-reset"]);
  }

  /** Tells the sender of a packet to the client that it must be at most `mtu` bytes long. */
  tooBig(session: Session, mtu: number, view: PacketView, slab: Uint8Array, nowMs: number): void {
    if (!this.#admit(session, nowMs)) return;
    const vnet = this.#tun.features.vnetHeader;
    const at = this.#packetAt(vnet);
    const length = writeIcmpError(ICMP_TOO_BIG, mtu, view, slab, this.#source(view), this.#out, at);
    if (length === 0) return;
    this.#frame(at, length);
    this.#tun.write(this.#out, SLAB_HEADROOM, at + length);
    this.#counters.add(COUNTER.answers["icmp-too-big"]);
  }

  /** Tells the client that its packet in `view` must be at most `mtu` bytes long. */
  oversize(session: Session, mtu: number, view: PacketView, slab: Uint8Array, nowMs: number): void {
    if (!this.#admit(session, nowMs)) return;
    const at = this.#packetAt(session.agreement.offload === "gso");
    const length = writeIcmpError(ICMP_TOO_BIG, mtu, view, slab, this.#source(view), this.#out, at);
    this.#toClient(session, at, length, COUNTER.answers["icmp-too-big"]);
  }

  #admit(session: Session, nowMs: number): boolean {
    if (session.answers.take(1, nowMs)) return true;
    this.#counters.add(COUNTER.answers.suppressed);
    return false;
  }

  #source(view: PacketView): AddressWords {
    return view.version === 4 ? this.#addresses.ipv4 : this.#addresses.ipv6;
  }

  /** Where a packet stands in `#out`: behind the frame's length and, with offload, an empty virtio_net_hdr. */
  #packetAt(vnet: boolean): number {
    const at = SLAB_HEADROOM + packetOffset(vnet);
    this.#out.fill(0, SLAB_HEADROOM, at);
    return at;
  }

  #frame(at: number, length: number): void {
    putFrameLength(this.#out, SLAB_HEADROOM, at + length - SLAB_HEADROOM - FRAME_HEADER);
  }

  #toClient(session: Session, at: number, length: number, counter: CounterIndex): void {
    if (length === 0 || !this.#view.parse(this.#out, at, at + length)) return;
    this.#frame(at, length);
    if (session.carrier.sendNow(this.#view, this.#out, SLAB_HEADROOM, at + length)) this.#counters.add(counter);
  }
}
