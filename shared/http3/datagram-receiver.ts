/**
 * HTTP Datagrams in (RFC 9297 section 2.1): QUIC DATAGRAMs are drained in bursts, and each goes to the request
 * stream that its quarter stream id names. Those of unknown or finished streams are dropped. One burst, which the
 * addon bounds, an event: a peer that sends many does not hold the event loop.
 */
import type { QuicConnection } from "../native/quic.ts";
import { VarintReader } from "../wire/varint.ts";
import { DATAGRAM_SLAB_BYTES } from "./constants.ts";
import { connectionFault, type Http3Error } from "./fault.ts";
import type { Schedule } from "./schedule.ts";
import type { Http3Stream } from "./stream.ts";

/** One for all connections: a drain runs to its end, and nothing keeps a view. */
const slab = new Uint8Array(DATAGRAM_SLAB_BYTES);

const quarter = new VarintReader();

export class DatagramReceiver {
  readonly #quic: QuicConnection;
  readonly #schedule: Schedule;
  readonly #streamOf: (id: number) => Http3Stream | undefined;
  readonly #onFault: (fault: Http3Error) => void;

  constructor(
    quic: QuicConnection,
    schedule: Schedule,
    streamOf: (id: number) => Http3Stream | undefined,
    onFault: (fault: Http3Error) => void,
  ) {
    this.#quic = quic;
    this.#schedule = schedule;
    this.#streamOf = streamOf;
    this.#onFault = onFault;
  }

  start(): void {
    this.#quic.onDatagrams = () => this.#drain();
    this.#drain();
  }

  #drain(): void {
    const filled = this.#quic.readDatagrams(slab, 0, slab.length);
    if (filled === 0) return;
    for (let at = 0; at < filled;) {
      const from = at + 2;
      at = from + ((slab[at]! << 8) | slab[at + 1]!);
      if (!this.#deliver(from, at)) return;
    }
    this.#schedule(0, () => this.#drain());
  }

  /** False: the connection is closed because of it. */
  #deliver(from: number, to: number): boolean {
    if (!quarter.read(slab, from, to) || namesNoStream(slab[from]!)) {
      this.#onFault(connectionFault("H3_DATAGRAM_ERROR", "a datagram without a valid quarter stream id"));
      return false;
    }
    this.#streamOf(quarter.value * 4)?.receiveDatagram(slab, quarter.next, to);
    return true;
  }
}

/** RFC 9297 section 2.1: an id of 2^60 and above, four times which is no stream id. It starts like this. */
function namesNoStream(first: number): boolean {
  return first >= 0xd0;
}
