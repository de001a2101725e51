/**
 * From the lanes to the TUN device: a chunk of a lane is a run of frames. Plain frames go on whole; with
 * offload, each `virtio_net_hdr` is checked first, because the kernel trusts it.
 */
import { PacketView } from "../shared/packet/view.ts";
import { VNET_HEADER } from "../shared/packet/vnet-header.ts";
import type { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import type { FrameReader } from "../shared/tunnel/frame.ts";
import type { SessionAgreement } from "../shared/tunnel/negotiation.ts";
import { OffloadCheck } from "../shared/tunnel/offload-check.ts";

export class Downlink {
  readonly #device: DeviceWriter;
  readonly #view = new PacketView();
  #bytes = 0;
  #malformed = 0;

  constructor(device: DeviceWriter) {
    this.#device = device;
  }

  /** Bytes of frames that came from the relay. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Frames whose packet no IP stack would make. */
  get malformed(): number {
    return this.#malformed;
  }

  /** What takes the frames of a session's lanes. */
  writerFor(agreement: SessionAgreement): (slab: Uint8Array, from: number, reader: FrameReader) => void {
    if (agreement.offload === "none") return (slab, from, reader) => this.#write(slab, from, reader.skip(), false);
    const check = new OffloadCheck(agreement.mtu);
    return (slab, from, reader) => this.#writeChecked(check, slab, from, reader);
  }

  #writeChecked(check: OffloadCheck, slab: Uint8Array, from: number, reader: FrameReader): void {
    let runFrom = from;
    let runTo = from;
    while (reader.next()) {
      if (this.#view.parse(slab, reader.from + VNET_HEADER, reader.to)) {
        reader.fault = check.admit(this.#view, slab, reader.from);
        if (reader.fault !== undefined) break;
        runTo = reader.to;
        continue;
      }
      this.#malformed++;
      this.#write(slab, runFrom, runTo, true);
      runFrom = runTo = reader.to;
    }
    this.#write(slab, runFrom, runTo, true);
  }

  #write(slab: Uint8Array, from: number, to: number, vnet: boolean): void {
    if (to === from) return;
    this.#device.write(slab, from, to, vnet);
    this.#bytes += to - from;
  }
}
