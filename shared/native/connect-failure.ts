/** An attempt to connect that came to nothing, and how the connection ended where there was one. */
import { ZgateError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { CloseInfo } from "./quic.ts";

export class ConnectFailure extends ZgateError {
  /** Undefined when there never was a connection: no answer, or nothing could be sent. */
  readonly end: CloseInfo | undefined;

  constructor(code: ErrorCode, message: string, end: CloseInfo | undefined) {
    super(code, message);
    this.end = end;
  }
}
