/**
 * Certificates from the relay, where it has the folder of an authority. New machines come to a TCP port
 * (`hostEnrolment`); a client that is connected renews on its own connection, where its certificate is verified already:
 *
 *   POST /v1/renew ▸ body, bounded in size and time ▸ EnrolmentService ▸ the session goes on with it ▸ answer
 *                                                          └▶ log, audit, counter
 */
import type { Logger } from "pino";
import type { Field } from "../shared/http3/fields.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import { readWholeBody } from "../shared/http3/whole-body.ts";
import {
  ENROLMENT_TIMEOUT_MS,
  MAX_REQUEST_BYTES,
  RENEWAL_PATH,
  SESSION_SERIAL_FIELD,
} from "../shared/pki/constants.ts";
import { logEnrolment } from "../shared/pki/enrolment-host.ts";
import { EnrolmentService } from "../shared/pki/enrolment-service.ts";
import type { EnrolmentAnswer, EnrolmentEvent } from "../shared/pki/enrolment-service.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { monotonicMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { COUNTER } from "./counters.ts";
import type { Counters } from "./counters.ts";
import type { LivePolicy } from "./live-policy.ts";

export interface EnrolmentParts {
  readonly log: Logger;
  readonly audit: AuditLog;
  readonly counters: Counters;
  readonly live: LivePolicy;
  /** Where the relay listens for sessions. */
  readonly port: number;
}

/** Opens the authority in `folder`. Throws as `EnrolmentService.open` does. */
export async function openEnrolment(folder: string, parts: EnrolmentParts): Promise<EnrolmentService> {
  const { live, port } = parts;
  return await EnrolmentService.open(folder, undefined, (event) => report(event, parts), {
    objection: (client) => objectionTo(client, live),
    port,
  });
}

/** A client that is disabled would keep its identity for the day that it is let in again: it may be in other hands. */
function objectionTo(client: string, live: LivePolicy): string | undefined {
  return live.current.client(client)?.enabled === false ? `the policy has the client ${client} disabled` : undefined;
}

function report(event: EnrolmentEvent, { log, audit, counters }: EnrolmentParts): void {
  counters.add(COUNTER.certificateRequests[event.outcome]);
  if (event.outcome === "issued") {
    const { request, source: remote, client, serial, fingerprint256: fingerprint, notAfter, replaces } = event;
    const issued = { request, remote, client, serial, fingerprint, notAfter };
    audit.certificate(replaces === undefined ? issued : { ...issued, replaces });
    logEnrolment(log, event);
  } else {
    const { request, source, client, serial, status, reason } = event;
    const told = audit.refusal({
      what: request,
      remote: source,
      ...(client === undefined ? {} : { client }),
      ...(serial === undefined ? {} : { serial }),
      code: status,
      reason,
    });
    if (told) logEnrolment(log, event);
  }
}

/** The request asks for a renewal. */
export function isRenewal(stream: Http3Stream): boolean {
  return stream.field(":method") === "POST" && stream.field(":path") === RENEWAL_PATH;
}

/** Whose certificate is to be renewed, and what becomes of the new one. */
export interface Renewal {
  /** Of the certificate that is to be renewed; TLS has verified it, or it was issued on this connection. */
  readonly peer: Identity;
  /** `address:port`. */
  readonly remote: string;
  /** Takes the new certificate, DER, for the connection's session: its serial number when that goes on with it. */
  readonly take: (leafDer: Uint8Array) => string | undefined;
}

/** Answers the request for a renewal. Never rejects. */
export async function answerRenewal(service: EnrolmentService, stream: Http3Stream, renewal: Renewal): Promise<void> {
  const { peer, remote, take } = renewal;
  const late = setTimeout(() => stream.close(HTTP3_CODE.H3_REQUEST_CANCELLED), ENROLMENT_TIMEOUT_MS);
  try {
    const bytes = await readWholeBody(stream, MAX_REQUEST_BYTES);
    if (bytes === undefined) {
      respond(stream, { status: 413, body: { error: "the request is too large" } });
      return;
    }
    const body = Buffer.from(bytes).toString("utf8");
    const request = { method: "POST", path: RENEWAL_PATH, body, source: addressOf(remote), peer };
    const answer = await service.handle(request, new Date(), monotonicMs(performance.now()));
    // The session first: an agent that knows its new certificate may count on it.
    respond(stream, answer, answer.issuedDer === undefined ? undefined : take(answer.issuedDer));
  } catch {
    // The client went away, or took too long.
    stream.close(HTTP3_CODE.H3_REQUEST_CANCELLED);
  } finally {
    clearTimeout(late);
  }
}

const HEADERS: readonly Field[] = [
  ["content-type", "application/json"],
  ["cache-control", "no-store"],
];

/** `serial`: of the certificate that the session goes on with. */
function respond(stream: Http3Stream, { status, body }: EnrolmentAnswer, serial?: string): void {
  const headers: readonly Field[] = serial === undefined ? HEADERS : [...HEADERS, [SESSION_SERIAL_FIELD, serial]];
  stream.respond(status, headers, { body: Buffer.from(JSON.stringify(body)), end: true });
}

/** `address` of `address:port`. */
function addressOf(remote: string): string {
  return remote.slice(0, remote.lastIndexOf(":")).replaceAll(/[[\]]/g, "");
}
