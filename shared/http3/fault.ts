/**
 * What goes wrong in HTTP/3, with the code that the RFC names for it. A fault is thrown where it is found and
 * caught at the event's edge, where it closes the connection or resets the stream (RFC 9114 section 8).
 */
import { ZgateError } from "../errors.ts";
import { HTTP3_CODE, http3CodeName, type Http3CodeName } from "./spec.ts";

export type FaultScope = "connection" | "stream";

/** An HTTP/3 error: the peer's, or one that the peer told us by a reset. */
export class Http3Error extends ZgateError {
  readonly scope: FaultScope;
  /** The number that goes, or came, on the wire. */
  readonly http3Code: number;

  constructor(scope: FaultScope, http3Code: number, message: string) {
    super("ZG_HTTP3", `${http3CodeName(http3Code)}: ${message}`);
    this.name = "Http3Error";
    this.scope = scope;
    this.http3Code = http3Code;
  }
}

/** A fault that ends the connection. */
export function connectionFault(name: Http3CodeName, message: string): Http3Error {
  return new Http3Error("connection", HTTP3_CODE[name], message);
}

/** A fault that ends one stream. */
export function streamFault(name: Http3CodeName, message: string): Http3Error {
  return new Http3Error("stream", HTTP3_CODE[name], message);
}
