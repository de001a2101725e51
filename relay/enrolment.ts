/**
 * Certificates from the relay, where it has the folder of an authority. New machines come to a TCP port
 * (`hostEnrolment`); a client that is connected renews on its own connection, where its certificate is verified already:
 *
 *   POST /v1/renew ▸ body, bounded in size and time ▸ EnrolmentService ▸ answer
 *                                                          └▶ log, audit, counter
 */
import type { Logger } from "pino";
import type { Field } from "../shared/http3/fields.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import { readWholeBody } from "../shared/http3/whole-body.ts";
import { ENROLMENT_TIMEOUT_MS, MAX_REQUEST_BYTES, RENEWAL_PATH } from "../shared/pki/constants.ts";
import { logEnrolment } from "../shared/pki/enrolment-host.ts";
import { EnrolmentService } from "../shared/pki/enrolment-service.ts";
import type { EnrolmentAnswer, EnrolmentEvent } from "../shared/pki/enrolment-service.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { monotonicMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { COUNTER } from "./counters.ts";
import type { Counters } from "./counters.ts";

export interface EnrolmentParts {
  readonly log: Logger;
  readonly audit: AuditLog;
  readonly counters: Counters;
}

/** Opens the authority in `folder`. Throws as `EnrolmentService.open` does. */
export async function openEnrolment(folder: string, parts: EnrolmentParts): Promise<EnrolmentService> {
  return await EnrolmentService.open(folder, undefined, (event) => report(event, parts));
}

function report(event: EnrolmentEvent, { log, audit, counters }: EnrolmentParts): void {
  logEnrolment(log, event);
  counters.add(COUNTER.certificateRequests[event.outcome]);
  if (event.outcome === "issued") {
    const { request, source: remote, client, serial, fingerprint256: fingerprint, notAfter, replaces } = event;
    const issued = { request, remote, client, serial, fingerprint, notAfter };
    audit.certificate(replaces === undefined ? issued : { ...issued, replaces });
  } else {
    const { request, source, client, serial, status, reason } = event;
    audit.refusal({
      what: request,
      remote: source,
      ...(client === undefined ? {} : { client }),
      ...(serial === undefined ? {} : { serial }),
      code: status,
      reason,
    });
  }
}

/** The request asks for a renewal. */
export function isRenewal(stream: Http3Stream): boolean {
  return stream.field(":method") === "POST" && stream.field(":path") === RENEWAL_PATH;
}

/** Answers a renewal of `peer`, whose certificate the TLS stack has verified, at `remote` (`address:port`). Never rejects. */
export async function answerRenewal(
  service: EnrolmentService,
  stream: Http3Stream,
  peer: Identity,
  remote: string,
): Promise<void> {
  const late = setTimeout(() => stream.close(HTTP3_CODE.H3_REQUEST_CANCELLED), ENROLMENT_TIMEOUT_MS);
  try {
    const bytes = await readWholeBody(stream, MAX_REQUEST_BYTES);
    if (bytes === undefined) {
      respond(stream, { status: 413, body: { error: "the request is too large" } });
      return;
    }
    const body = Buffer.from(bytes).toString("utf8");
    const request = { method: "POST", path: RENEWAL_PATH, body, source: addressOf(remote), peer };
    respond(stream, await service.handle(request, new Date(), monotonicMs(performance.now())));
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

function respond(stream: Http3Stream, { status, body }: EnrolmentAnswer): void {
  stream.respond(status, HEADERS, { body: Buffer.from(JSON.stringify(body)), end: true });
}

/** `address` of `address:port`. */
function addressOf(remote: string): string {
  return remote.slice(0, remote.lastIndexOf(":")).replaceAll(/[[\]]/g, "");
}
