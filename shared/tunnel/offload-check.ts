/** The `virtio_net_hdr` of a peer's frame, on its way into a kernel: checked against its packet, then rewritten. */
import { checkOffload } from "../packet/offload.ts";
import type { OffloadFault } from "../packet/offload.ts";
import type { PacketView } from "../packet/view.ts";
import { VnetHeader } from "../packet/vnet-header.ts";

export class OffloadCheck {
  readonly #mtu: number;
  readonly #header = new VnetHeader();

  /** `mtu`: the largest packet, and segment of a super-packet, in bytes. */
  constructor(mtu: number) {
    this.#mtu = mtu;
  }

  /**
   * Checks the header at `slab[at]`, whose packet was parsed into `view`, and writes back what may go to a
   * kernel. Returns what is wrong instead: the peer's session ends with H3_MESSAGE_ERROR.
   */
  admit(view: PacketView, slab: Uint8Array, at: number): OffloadFault | undefined {
    this.#header.read(slab, at);
    const fault = checkOffload(this.#header, view, this.#mtu);
    if (fault === undefined) this.#header.write(slab, at);
    return fault;
  }
}
