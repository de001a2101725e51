/** From the lanes to the TUN device: a chunk of a lane is a run of frames, which the device takes whole. */
import type { Tun } from "../shared/native/tun.ts";
import type { FrameReader } from "../shared/tunnel/frame.ts";
import type { SessionAgreement } from "../shared/tunnel/negotiation.ts";

export class Downlink {
  readonly #tun: Tun;
  #bytes = 0;

  constructor(tun: Tun) {
    this.#tun = tun;
  }

  /** Bytes of frames that came from the relay. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Writes the whole frames that begin at `slab[from]`. */
  write(slab: Uint8Array, from: number, reader: FrameReader, _agreement: SessionAgreement): void {
    const to = reader.skip();
    if (to === from) return;
    this.#tun.write(slab, from, to);
    this.#bytes += to - from;
  }
}
