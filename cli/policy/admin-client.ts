/** Requests to the admin server of a relay on this machine. */
import { Option } from "commander";
import { messageOf, ZgateError } from "../../shared/errors.ts";

/** As the relay's own default (`shared/config/relay.ts`). */
const DEFAULT_ADMIN = "127.0.0.1:9443";
/** A reload of a large policy takes seconds. */
const ANSWER_MS = 30_000;

export function adminOption(): Option {
  return new Option("--admin <ADDRESS:PORT>", "the relay's admin address").default(DEFAULT_ADMIN).env("ZGATE_ADMIN");
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Throws `ZG_CONNECT_FAILED` when no relay answers with JSON. */
export async function askRelay(admin: string, path: string, question: unknown): Promise<AdminAnswer> {
  try {
    const response = await fetch(`http://${admin}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(question),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const body: unknown = await response.json();
    return { status: response.status, body: isRecord(body) ? body : {} };
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause !== undefined ? messageOf(cause.cause) : messageOf(cause);
    const message = `no relay answers at ${admin}: ${reason}; is it running with --admin ${admin}?`;
    throw new ZgateError("ZG_CONNECT_FAILED", message, { cause });
  }
}

/** Throws what the relay complained about. */
export function refusedBy({ status, body }: AdminAnswer): ZgateError {
  const message = typeof body["message"] === "string" ? body["message"] : `it answered ${status}`;
  return new ZgateError("ZG_CONFIG_INVALID", `the relay refused: ${message}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
