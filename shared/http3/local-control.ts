/** Our own control stream (RFC 9114 section 6.2.1): its type, SETTINGS, and at most one GOAWAY. */
import { WRITE_CLOSED, type QuicConnection, type QuicStream } from "../native/quic.ts";
import { encodeVarint, varintSize } from "../wire/varint.ts";
import { connectionFault, type Http3Error } from "./fault.ts";
import { encodeSettings } from "./settings.ts";
import { FRAME, STREAM_TYPE } from "./spec.ts";

export class LocalControl {
  readonly #onFault: (fault: Http3Error) => void;
  #stream: QuicStream | undefined;
  /** What was not taken yet: SETTINGS, GOAWAY. */
  readonly #queue: Uint8Array[] = [];
  #saidGoaway = false;

  constructor(quic: QuicConnection, maxFieldSectionSize: number, onFault: (fault: Http3Error) => void) {
    this.#onFault = onFault;
    const settings = encodeSettings({
      maxFieldSectionSize,
      qpackMaxTableCapacity: 0,
      qpackBlockedStreams: 0,
      enableConnectProtocol: true,
      h3Datagram: true,
    });
    this.#queue.push(Uint8Array.of(STREAM_TYPE.CONTROL, ...settings));
    quic.openUni().then(
      (stream) => {
        this.#stream = stream;
        stream.onWritable = () => this.#flush();
        this.#flush();
      },
      () => {}, // The connection closed first; `closed` says why.
    );
  }

  /** Sends GOAWAY once; later calls change nothing. */
  sendGoaway(id: number): void {
    if (this.#saidGoaway) return;
    this.#saidGoaway = true;
    const frame = new Uint8Array(2 + varintSize(id));
    encodeVarint(id, frame, 2);
    frame[0] = FRAME.GOAWAY;
    frame[1] = frame.length - 2;
    this.#queue.push(frame);
    this.#flush();
  }

  #flush(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const taken = stream.write(next, 0, next.length);
      if (taken === 0) return;
      this.#queue.shift();
      if (taken === WRITE_CLOSED && stream.stopCode >= 0) {
        this.#onFault(connectionFault("H3_CLOSED_CRITICAL_STREAM", "the peer stopped our control stream"));
      }
    }
  }
}
