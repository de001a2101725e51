/** Why there is no session, in words for the log and the status. */
import { ZgateError } from "../shared/errors.ts";
import type { CloseInfo, KeyExchange } from "../shared/native/quic.ts";
import { tlsRefusal } from "../shared/native/tls-refusal.ts";

/** Of a session that was open. */
export function describeEnd(end: CloseInfo, keyExchange: KeyExchange): string {
  const refusal = tlsRefusal(end, { side: "agent", keyExchange });
  if (refusal !== undefined) return refusal.sentence;
  if (end.source === "idle-timeout") return "the relay has been silent for too long";
  if (end.source === "reset") return "the relay does not know this session any more: it was restarted";
  return end.reason === "" ? `closed with code 0x${end.code.toString(16)}` : end.reason;
}

/**
 * Of an attempt that failed with `error`, and whose connection ended with `end`: `ZG_TLS_HANDSHAKE` with the meaning
 * where TLS refused it, else `error`. A client's handshake is complete before the server has looked at its certificate
 * (RFC 8446 section 2), so it is often the open connection that ends with an alert.
 */
export function attemptError(
  error: unknown,
  end: CloseInfo | undefined,
  { remote, keyExchange }: { readonly remote: string; readonly keyExchange: KeyExchange },
): unknown {
  const refusal = end === undefined ? undefined : tlsRefusal(end, { side: "agent", keyExchange });
  if (refusal === undefined) return error;
  return new ZgateError("ZG_TLS_HANDSHAKE", `${remote}: ${refusal.sentence}`, { cause: error });
}
