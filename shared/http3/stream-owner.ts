/** What a request stream and its connection tell each other. */
import type { ZgateError } from "../errors.ts";
import type { Http3Error } from "./fault.ts";
import type { Schedule } from "./schedule.ts";
import type { Http3Stream } from "./stream.ts";

/** What a stream needs of its connection. */
export interface StreamOwner {
  readonly role: "client" | "server";
  readonly maxFieldSectionSize: number;
  readonly schedule: Schedule;
  /** A server's stream has a valid request; a client's has its final response. */
  onHead(stream: Http3Stream): void;
  /** A server's stream was answered, or any stream was given up before it had a head. */
  onSettled(stream: Http3Stream): void;
  /** Both directions are done. */
  onDone(stream: Http3Stream): void;
  onConnectionFault(fault: Http3Error): void;
  /** Why there is no connection any more; settles when it is gone. */
  closedError(): Promise<ZgateError>;
  /** The largest QUIC datagram that can be sent now, in bytes; 0 when the peer takes no HTTP Datagrams. */
  maxQuicDatagram(): number;
  /** One QUIC datagram, quarter stream id in front; false when it was dropped. */
  sendDatagram(slab: Uint8Array, from: number, to: number): boolean;
}

export interface MessageOptions {
  /** Sent in one DATA frame right behind HEADERS; at most `MAX_BODY_WRITE` bytes. */
  readonly body?: Uint8Array;
  /** Nothing follows. */
  readonly end?: boolean;
}

export interface RequestOptions extends MessageOptions {
  /** HEADERS are sent: body of a tunnel may follow before the answer comes. */
  readonly onSent?: (stream: Http3Stream) => void;
}
