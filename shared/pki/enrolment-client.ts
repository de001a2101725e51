/**
 * The other side of the enrolment service, on the new machine: get the root and hold it against the token's fingerprint →
 * make a key → send a request for it over TLS that this root vouches for → the certificate.
 */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { RequestOptions } from "node:https";
import { isIP } from "node:net";
import { z } from "zod";
import type { HostPort } from "../config/host-port.ts";
import { formatHostPort } from "../config/host-port.ts";
import { messageOf, ZgateError } from "../errors.ts";
import type { KeyExchange } from "../native/quic.ts";
import { createRequest } from "./certificate-request.ts";
import { ENROLMENT_TIMEOUT_MS, MAX_ANSWER_BYTES, RENEWAL_PATH } from "./constants.ts";
import type { EnrolmentToken } from "./enrolment-token.ts";
import { generateKey, privateKeyPem } from "./keys.ts";
import type { KeyType } from "./keys.ts";
import { TLS_GROUPS } from "./tls-groups.ts";

/** What an agent needs to connect. */
export interface Credentials {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly caPem: string;
}

/** What a new machine gets. */
export interface Enrolled extends Credentials {
  /** UDP port of the relay that has answered, which renews on its sessions; undefined when it was no relay. */
  readonly relayPort: number | undefined;
}

const rootSchema = z.object({ root: z.string() });
const chainSchema = z.object({ chain: z.string() });
const enrolledSchema = chainSchema.extend({
  // The token is used up by now: a port that is none must not cost the certificate.
  relayPort: z.coerce.number().int().min(1).max(65_535).optional().catch(undefined),
});
const errorSchema = z.object({ error: z.string() });

/** Throws `ZG_CONNECT_FAILED`, `ZG_TLS_HANDSHAKE` for another root than the token's, `ZG_SESSION_REFUSED`. */
export async function enrol(token: EnrolmentToken, keyType: KeyType): Promise<Enrolled> {
  // Nobody vouches for this connection, so nothing that it carries is secret or believed but by its fingerprint.
  const unverified = { method: "GET", path: "/v1/root", rejectUnauthorized: false };
  const { root: caPem } = await askFor(token.at, unverified, "", rootSchema);
  if (fingerprintOf(caPem) !== token.rootFingerprint256) {
    const reason = "the service shows another root certificate than the token names: somebody may be in between";
    throw new ZgateError("ZG_TLS_HANDSHAKE", `${formatHostPort(token.at)}: ${reason}`);
  }
  const key = await generateKey(keyType);
  const body = { id: token.id, secret: token.secret, request: await createRequest(token.name, key) };
  const verified = { method: "POST", path: "/v1/enroll", ca: caPem, ecdhCurve: TLS_GROUPS["prefer-pq"] };
  const { chain, relayPort } = await askFor(token.at, verified, JSON.stringify(body), enrolledSchema);
  return { ...checked({ certificatePem: chain, privateKeyPem: await privateKeyPem(key), caPem }), relayPort };
}

/**
 * Takes the JSON body of a renewal to an enrolment service, as the holder of the certificate that runs out, and gives
 * the answer. Rejects when there is none.
 */
export type RenewalTransport = (body: string, old: Credentials) => Promise<RenewalAnswer>;

export interface RenewalAnswer {
  /** Who answered, for errors. */
  readonly service: string;
  /** An HTTP status. */
  readonly status: number;
  readonly body: string;
}

/** New credentials for those that run out. Throws as `enrol` does. */
export async function renew(transport: RenewalTransport, old: Credentials, keyType: KeyType): Promise<Credentials> {
  const key = await generateKey(keyType);
  const request = { request: await createRequest("renewal", key) };
  const { service, status, body } = await transport(JSON.stringify(request), old);
  const { chain } = accepted(service, status, jsonOf(body), chainSchema);
  return checked({ certificatePem: chain, privateKeyPem: await privateKeyPem(key), caPem: old.caPem });
}

/** On a TLS connection of its own to the service. */
export function renewalOverTls(at: HostPort, keyExchange: KeyExchange): RenewalTransport {
  return async (body, { certificatePem: cert, privateKeyPem: key, caPem: ca }) => {
    const ecdhCurve = TLS_GROUPS[keyExchange];
    const options = { method: "POST", path: RENEWAL_PATH, ca, cert, key, ecdhCurve };
    return { service: `the enrolment service at ${formatHostPort(at)}`, ...(await ask(at, options, body)) };
  };
}

/** A service that signs another key than ours has a defect, which should show here and not at the next connection. */
function checked(credentials: Credentials): Credentials {
  const leaf = parsed(credentials.certificatePem);
  if (leaf?.checkPrivateKey(createPrivateKey(credentials.privateKeyPem)) === true) return credentials;
  throw new ZgateError(
    "ZG_SESSION_REFUSED",
    "the enrolment service answered with no certificate of the key that was sent",
  );
}

function fingerprintOf(pem: string): string | undefined {
  const certificate = parsed(pem);
  return certificate === undefined ? undefined : createHash("sha256").update(certificate.raw).digest("hex");
}

function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

type Ask = Pick<RequestOptions, "method" | "path" | "ca" | "cert" | "key" | "rejectUnauthorized" | "ecdhCurve">;

async function askFor<Answer>(at: HostPort, options: Ask, text: string, schema: z.ZodType<Answer>): Promise<Answer> {
  const { status, body } = await ask(at, options, text);
  return accepted(`the enrolment service at ${formatHostPort(at)}`, status, jsonOf(body), schema);
}

/** What a service answered, when it is what was asked for. Throws `ZG_SESSION_REFUSED`. */
function accepted<Answer>(service: string, status: number, answer: unknown, schema: z.ZodType<Answer>): Answer {
  const parsedAnswer = schema.safeParse(answer);
  if (status === 200 && parsedAnswer.success) return parsedAnswer.data;
  const said = errorSchema.safeParse(answer).data?.error ?? "no reason given";
  throw new ZgateError("ZG_SESSION_REFUSED", `${service} refused (${status}): ${said}`);
}

/** One request on a connection of its own. What comes back is bounded in size and time. */
async function ask(at: HostPort, options: Ask, text: string): Promise<{ status: number; body: string }> {
  const signal = AbortSignal.timeout(ENROLMENT_TIMEOUT_MS);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  const target = { host: at.host, port: at.port, ...(isIP(at.host) === 0 ? { servername: at.host } : {}) };
  return await exchange({ ...options, ...target, headers, signal }, text).catch((error: unknown) => {
    const code = isTlsFailure(error) ? "ZG_TLS_HANDSHAKE" : "ZG_CONNECT_FAILED";
    const reason = signal.aborted ? `no answer within ${ENROLMENT_TIMEOUT_MS} ms` : messageOf(error);
    throw new ZgateError(code, `the enrolment service at ${formatHostPort(at)}: ${reason}`, { cause: error });
  });
}

async function exchange(options: RequestOptions, body: string): Promise<{ status: number; body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpsRequest({ ...options, minVersion: "TLSv1.3", agent: false }, resolve);
    request.on("error", reject);
    request.end(body);
  });
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new RangeError(`the answer has more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks, length).toString("utf8") };
}

/** Codes of `node:tls`: those of OpenSSL's verification, and its own. */
function isTlsFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(String(error.code));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
