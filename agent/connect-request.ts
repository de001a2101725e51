/** The extended CONNECT requests of a session (docs/protocol.md), and what their answers say. */
import { ZgateError } from "../shared/errors.ts";
import { fieldValue } from "../shared/http3/fields.ts";
import type { Field } from "../shared/http3/fields.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";

/** The relay answered the control request with something else than 200. */
export class SessionRefused extends ZgateError {
  readonly status: number;
  /** What `retry-after` says, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, retryAfterMs: number | undefined) {
    super("ZG_SESSION_REFUSED", `the relay refused the session with ${status}: ${reason}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What every stream of a session asks for. */
export function connectFields(protocol: string, authority: string, path: string): Field[] {
  return [
    [":method", "CONNECT"],
    [":protocol", protocol],
    [":scheme", "https"],
    [":authority", authority],
    [":path", path],
  ];
}

/** Throws `SessionRefused` for an answer other than 200. */
export function checkStatus(stream: Http3Stream): void {
  const status = Number(fieldValue(stream.response, ":status"));
  if (status === 200) return;
  const reason = fieldValue(stream.response, "zgate-reason") ?? "it gave no reason";
  const retryAfter = Number(fieldValue(stream.response, "retry-after"));
  throw new SessionRefused(status, reason, Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined);
}
