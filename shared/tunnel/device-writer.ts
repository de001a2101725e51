/**
 * Frames of a session into the TUN device, in the format that the device takes:
 *
 *   formats are the same           ▸ written as they are
 *   plain frames, device with offload ▸ headers added, neighbours coalesced, written
 */
import type { Tun } from "../native/tun.ts";
import { Coalescer } from "../packet/coalesce.ts";
import { SLAB_HEADROOM } from "./constants.ts";
import { newSlab } from "./slab.ts";

export class DeviceWriter {
  readonly #tun: Tun;
  readonly #coalescer: Coalescer;
  readonly #out: Uint8Array | undefined;

  constructor(tun: Tun) {
    this.#tun = tun;
    const { vnetHeader, tso4, tso6, uso4, uso6 } = tun.features;
    this.#coalescer = new Coalescer({ tso4, tso6, uso: uso4 && uso6 });
    this.#out = vnetHeader ? newSlab() : undefined;
  }

  /**
   * Writes the whole frames `slab[from, to)`. `vnet`: they have a `virtio_net_hdr`, which the device takes. `queue`: as
   * in `Tun.write`.
   */
  write(slab: Uint8Array, from: number, to: number, vnet: boolean, queue = 0): void {
    const out = this.#out;
    if (vnet || out === undefined) {
      this.#tun.write(slab, from, to, queue);
      return;
    }
    for (let at = from; at < to; at = this.#coalescer.next) {
      const end = this.#coalescer.run(slab, at, to, out, SLAB_HEADROOM);
      this.#tun.write(out, SLAB_HEADROOM, end, queue);
    }
  }
}
