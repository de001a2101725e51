/**
 * Enrolment and renewal: a request → an answer. Knows no socket; `enrolment-server.ts` serves it over TLS, and whoever
 * else has a verified peer may hand requests to it.
 *
 *   GET  /v1/root                                      → {root}          the root certificate, PEM
 *   POST /v1/enroll  {id, secret, request}             → {chain, root}   against a token; a relay adds relayPort
 *   POST /v1/renew   {request}, with a client's own    → {chain}         against the certificate that runs out
 *                    certificate
 *
 * Refusals are `{error}`, and tell a stranger nothing about tokens.
 */
import { join } from "node:path";
import type { X509Certificate } from "@peculiar/x509";
import { z } from "zod";
import { messageOf, ZgateError } from "../errors.ts";
import type { MonotonicMs, UnixMs } from "../units.ts";
import { certificatePem, ledgerPath, openIssuingCa, readCertificate } from "./authority.ts";
import { publicKeyOfRequest } from "./certificate-request.ts";
import {
  CLIENT_LIFETIME_MS,
  MAX_CLIENT_CERTIFICATES,
  MAX_REQUEST_BYTES,
  NOT_BEFORE_SKEW_MS,
  RENEWAL_PATH,
} from "./constants.ts";
import type { Identity } from "./identity.ts";
import { clientIdentity } from "./identity.ts";
import { chainPem, signLeaf } from "./issuance.ts";
import { LedgerView } from "./ledger-view.ts";
import { stateOf } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";
import type { Issuer } from "./profiles.ts";
import { SourceLimit } from "./source-limit.ts";
import { claimToken } from "./token-store.ts";

export interface EnrolmentRequest {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** The peer's IP address. */
  readonly source: string;
  /** The peer's identity, when its certificate chain has been verified to end at the root. */
  readonly peer: Identity | undefined;
}

export interface EnrolmentAnswer {
  /** An HTTP status. */
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
  /** Of a renewal: the certificate that was issued, DER. */
  readonly issuedDer?: Uint8Array;
}

/** What happened, for the log and the audit. Holds no secret. `source` is the peer's IP address. */
export type EnrolmentEvent = CertificateIssued | CertificateRefused;

export interface CertificateIssued {
  readonly outcome: "issued";
  readonly request: "enrolment" | "renewal";
  readonly source: string;
  readonly client: string;
  /** Of the new certificate, as in `Identity`. */
  readonly serial: string;
  readonly fingerprint256: string;
  readonly notAfter: UnixMs;
  /** Serial number of the certificate that was renewed. */
  readonly replaces?: string;
}

export interface CertificateRefused {
  /** `failed`: the authority itself could not. */
  readonly outcome: "refused" | "failed";
  readonly request: "enrolment" | "renewal";
  readonly source: string;
  /** Of the certificate that was to be renewed. */
  readonly client?: string;
  readonly serial?: string;
  /** The HTTP status of the answer. */
  readonly status: number;
  readonly reason: string;
}

/** What a relay adds that serves enrolment itself. */
export interface ServingRelay {
  /** Why a client gets no renewal for now, in a sentence; undefined: it does. */
  readonly objection: (client: string) => string | undefined;
  /** Its UDP port, which a new machine is told: there its sessions renew their own certificates. */
  readonly port: number;
}

const enrolSchema = z.strictObject({ id: z.string(), secret: z.string(), request: z.string() });
const renewSchema = z.strictObject({ request: z.string() });

export class EnrolmentService {
  readonly #folder: string;
  readonly #issuer: Issuer;
  readonly #rootPem: string;
  readonly #onEvent: (event: EnrolmentEvent) => void;
  readonly #ledger: LedgerView;
  readonly #limit = new SourceLimit();
  readonly #relay: ServingRelay | undefined;

  private constructor(
    folder: string,
    issuer: Issuer,
    rootPem: string,
    onEvent: (event: EnrolmentEvent) => void,
    relay: ServingRelay | undefined,
  ) {
    this.#folder = folder;
    this.#issuer = issuer;
    this.#rootPem = rootPem;
    this.#onEvent = onEvent;
    this.#relay = relay;
    this.#ledger = new LedgerView(ledgerPath(folder));
  }

  /** Throws `ZG_PKI_INVALID`, `ZG_FILE_UNREADABLE`. */
  static async open(
    folder: string,
    passphrase: string | undefined,
    onEvent: (event: EnrolmentEvent) => void,
    relay?: ServingRelay,
  ): Promise<EnrolmentService> {
    const issuer = await openIssuingCa(folder, passphrase);
    const root = await readCertificate(join(folder, "ca.pem"));
    return new EnrolmentService(folder, issuer, certificatePem(root), onEvent, relay);
  }

  /** Never rejects. */
  async handle(request: EnrolmentRequest, now: Date, uptime: MonotonicMs): Promise<EnrolmentAnswer> {
    if (!this.#limit.take(request.source, uptime))
      return this.#refuse(request, 429, "too many requests; wait a minute");
    try {
      switch (`${request.method} ${request.path}`) {
        case "GET /v1/root":
          return { status: 200, body: { root: this.#rootPem } };
        case "POST /v1/enroll":
          return await this.#enrol(request, now);
        case `POST ${RENEWAL_PATH}`:
          return await this.#renew(request, now);
        default:
          return this.#refuse(request, 404, "there is nothing here");
      }
    } catch (error) {
      if (error instanceof ZgateError && error.code === "ZG_PKI_INVALID")
        return this.#refuse(request, 400, error.message);
      this.#onEvent({ outcome: "failed", ...aboutRequest(request), status: 500, reason: messageOf(error) });
      return { status: 500, body: { error: "the authority failed; its log says why" } };
    }
  }

  async #enrol(request: EnrolmentRequest, now: Date): Promise<EnrolmentAnswer> {
    const body = enrolSchema.safeParse(jsonOf(request.body));
    if (!body.success) return this.#refuse(request, 400, "the body is not that of an enrolment");
    // Before the token is used up: a request that cannot be signed must not cost it.
    const publicKey = await publicKeyOfRequest(body.data.request);
    const token = await claimToken(this.#folder, body.data.id, body.data.secret, now);
    if (token === undefined) return this.#refuse(request, 403, "the token is unknown, used, or has expired");
    const { client: name, lifetimeMs } = token;
    const leaf = { kind: "client", name, names: [], publicKey, lifetimeMs, now } as const;
    const certificate = await signLeaf(this.#folder, this.#issuer, leaf);
    this.#onEvent({ outcome: "issued", request: "enrolment", source: request.source, ...described(certificate) });
    const relay = this.#relay === undefined ? {} : { relayPort: `${this.#relay.port}` };
    return { status: 200, body: { chain: chainPem(certificate, this.#issuer), root: this.#rootPem, ...relay } };
  }

  async #renew(request: EnrolmentRequest, now: Date): Promise<EnrolmentAnswer> {
    const { peer } = request;
    if (peer === undefined) return this.#refuse(request, 401, "renewal needs the certificate that is to be renewed");
    const body = renewSchema.safeParse(jsonOf(request.body));
    if (!body.success) return this.#refuse(request, 400, "the body is not that of a renewal");
    // An expired one may be forgotten already.
    if (peer.notAfter <= now.getTime()) return this.#refuse(request, 403, "the certificate is expired");
    const ledger = await this.#ledger.read(now);
    const old = ledger.issued.get(peer.serial);
    if (old?.kind !== "client" || old.fingerprint256 !== peer.fingerprint256 || old.name !== peer.name) {
      return this.#refuse(request, 403, "the certificate is not one that this authority issued to a client");
    }
    const state = stateOf(old, ledger, now);
    if (state !== "valid") return this.#refuse(request, 403, `the certificate is ${state}`);
    const objection = this.#relay?.objection(old.name);
    if (objection !== undefined) return this.#refuse(request, 403, objection);
    if (validOf(old.name, ledger, now) >= MAX_CLIENT_CERTIFICATES) {
      return this.#refuse(request, 429, `the client has ${MAX_CLIENT_CERTIFICATES} certificates that are valid`);
    }
    const publicKey = await publicKeyOfRequest(body.data.request);
    const lived = Date.parse(old.notAfter) - Date.parse(old.notBefore) - NOT_BEFORE_SKEW_MS;
    const lifetimeMs = Number.isFinite(lived) && lived > 0 ? lived : CLIENT_LIFETIME_MS;
    const renews = peer.serial;
    const leaf = { kind: "client", name: old.name, names: [], publicKey, lifetimeMs, renews, now } as const;
    const certificate = await signLeaf(this.#folder, this.#issuer, leaf);
    const about = { ...described(certificate), replaces: renews };
    this.#onEvent({ outcome: "issued", request: "renewal", source: request.source, ...about });
    const chain = chainPem(certificate, this.#issuer);
    return { status: 200, body: { chain }, issuedDer: new Uint8Array(certificate.rawData) };
  }

  #refuse(request: EnrolmentRequest, status: number, reason: string): EnrolmentAnswer {
    this.#onEvent({ outcome: "refused", ...aboutRequest(request), status, reason });
    return { status, body: { error: reason } };
  }
}

function validOf(client: string, ledger: Ledger, now: Date): number {
  let count = 0;
  for (const entry of ledger.issued.values()) {
    if (entry.name === client && stateOf(entry, ledger, now) === "valid") count++;
  }
  return count;
}

function aboutRequest({
  path,
  source,
  peer,
}: EnrolmentRequest): Pick<CertificateRefused, "request" | "source" | "client" | "serial"> {
  const about = { request: path === RENEWAL_PATH ? "renewal" : "enrolment", source } as const;
  return peer === undefined ? about : { ...about, client: peer.name, serial: peer.serial };
}

function described(
  certificate: X509Certificate,
): Pick<CertificateIssued, "client" | "serial" | "fingerprint256" | "notAfter"> {
  const { name: client, serial, fingerprint256, notAfter } = clientIdentity(new Uint8Array(certificate.rawData));
  return { client, serial, fingerprint256, notAfter };
}

function jsonOf(text: string): unknown {
  if (text.length > MAX_REQUEST_BYTES * 2) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
