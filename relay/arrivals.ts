/**
 * New connections, one a turn of the event loop: to read a certificate and open HTTP/3 takes about a millisecond, and
 * a hundred that came together would hold up the packets of all sessions for as many.
 */
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { QuicConnection } from "../shared/native/quic.ts";
import { MAX_ARRIVALS } from "./constants.ts";

export class Arrivals {
  readonly #accept: (connection: QuicConnection) => void;
  readonly #waiting: QuicConnection[] = [];

  constructor(accept: (connection: QuicConnection) => void) {
    this.#accept = accept;
  }

  /** Takes a connection, soon; what its peer sends waits meanwhile. */
  add(connection: QuicConnection): void {
    if (this.#waiting.length === MAX_ARRIVALS) {
      connection.close(HTTP3_CODE.H3_EXCESSIVE_LOAD, "too many connections come in at once");
      return;
    }
    if (this.#waiting.push(connection) === 1) setImmediate(() => this.#turn());
  }

  #turn(): void {
    const connection = this.#waiting[0];
    if (connection === undefined) return;
    try {
      this.#accept(connection);
    } finally {
      this.#waiting.shift();
      if (this.#waiting.length > 0) setImmediate(() => this.#turn());
    }
  }
}
