/**
 * What the audit log says: one JSON object a line, described for readers in docs/audit.md.
 *
 * Every record carries the envelope (`level`, `time`, `seq`, `prev`, `type`); `type` decides on the rest.
 * Objects are strict: a field that is not described here is not in the log.
 */
import { z } from "zod";

/** SHA-256, lower-case hexadecimal. */
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const instant = z.iso.datetime({ precision: 3 });
const count = z.int().nonnegative();
const port = z.int().min(0).max(65_535);

const envelope = {
  /** `warn`: something was refused or lost. */
  level: z.enum(["info", "warn"]),
  /** When the record was made, UTC. */
  time: instant,
  /** 1, 2, 3, … without a hole, over restarts and rotations. */
  seq: z.int().positive(),
  /** SHA-256 of the line before, without its line feed; 64 zeros in the first record of a chain. */
  prev: sha256,
};

/** Packets and bytes of inner IP packets in one direction. */
const traffic = z.strictObject({ packets: count, bytes: count });

const sessionIdentity = {
  /** The relay's name for the session; unique over restarts. */
  session: z.string(),
  client: z.string(),
  /** Outer `address:port`. */
  remote: z.string(),
};

export const openRecord = z.strictObject({
  ...envelope,
  type: z.literal("open"),
  /** The version of zgate. */
  version: z.string(),
  sink: z.enum(["file", "stdout"]),
  /**
   * How the log ended before: `new` there was none; `clean` with a `close` record; `unclean` without one;
   * `torn` in the middle of a line, which was cut off.
   */
  before: z.enum(["new", "clean", "unclean", "torn"]),
  /** With `torn`: what was cut off, bytes, and its beginning. */
  tornBytes: count.optional(),
  tornText: z.string().optional(),
});

export const closeRecord = z.strictObject({ ...envelope, type: z.literal("close") });

export const sessionUpRecord = z.strictObject({
  ...envelope,
  type: z.literal("session-up"),
  ...sessionIdentity,
  /** Of the client's certificate: serial number in hexadecimal, SHA-256 of its DER, end of validity. */
  serial: z.string(),
  fingerprint: sha256,
  notAfter: instant,
  /** Leased tunnel addresses. */
  ipv4: z.string(),
  ipv6: z.string(),
  /** TLS named group and cipher suite. */
  group: z.string(),
  cipher: z.string(),
  protocol: z.enum(["zgate", "connect-ip"]),
});

export const sessionRenewedRecord = z.strictObject({
  ...envelope,
  type: z.literal("session-renewed"),
  ...sessionIdentity,
  /** Of the certificate that the session stands on from now on, as in `session-up`. */
  serial: z.string(),
  fingerprint: sha256,
  notAfter: instant,
  /** Serial number of the one before. */
  replaces: z.string(),
});

export const sessionDownRecord = z.strictObject({
  ...envelope,
  type: z.literal("session-down"),
  ...sessionIdentity,
  start: instant,
  end: instant,
  /** Such as `client`, `replaced`, `idle`, `admin`. */
  reason: z.string(),
  /** More about the reason, such as the peer's words. */
  detail: z.string().optional(),
  /** From the client, and to it. */
  up: traffic,
  down: traffic,
  /** Packets of the session that were dropped. */
  dropped: count,
});

export const flowRecord = z.strictObject({
  ...envelope,
  type: z.literal("flow"),
  session: z.string(),
  client: z.string(),
  start: instant,
  end: instant,
  /** IANA protocol number. */
  protocol: z.int().min(0).max(255),
  src: z.string(),
  dst: z.string(),
  /** Of protocols with ports. */
  srcPort: port.optional(),
  dstPort: port.optional(),
  /** Of ICMP and ICMPv6. */
  icmpType: z.int().min(0).max(255).optional(),
  /** From the client, and to it. Of a denied flow `up` counts what was dropped. */
  up: traffic,
  down: traffic,
  action: z.enum(["allow", "deny"]),
  /** The deciding rule's id. */
  rule: z.string(),
  reason: z.string(),
  /** Generation of the policy that decided. */
  generation: count,
  /** What a shadow policy decided, where it differs. */
  shadow: z.strictObject({ action: z.enum(["allow", "deny"]), rule: z.string() }).optional(),
});

export const policyRecord = z.strictObject({
  ...envelope,
  type: z.literal("policy"),
  outcome: z.enum(["applied", "refused"]),
  trigger: z.enum(["start", "file", "signal", "admin"]),
  /** Of the policy in force afterwards. */
  generation: count,
  files: z.array(z.string()),
  /** `applied`: what became reachable and what stopped being so. */
  changes: z.array(z.string()),
  /** `refused`: what is wrong, with `file:line:column`. */
  problems: z.array(z.string()),
});

export const refusalRecord = z.strictObject({
  ...envelope,
  type: z.literal("refusal"),
  /** What was refused: a TLS handshake, a session, a lane, a request for a certificate. */
  what: z.enum(["handshake", "session", "lane", "enrolment", "renewal"]),
  remote: z.string(),
  /** From a verified certificate; absent before there was one. */
  client: z.string().optional(),
  serial: z.string().optional(),
  /** A TLS alert or transport error (RFC 9001 section 4.8), or an HTTP status. */
  code: z.int(),
  reason: z.string(),
});

export const certificateRecord = z.strictObject({
  ...envelope,
  type: z.literal("certificate"),
  request: z.enum(["enrolment", "renewal"]),
  /** Outer address of who asked. */
  remote: z.string(),
  client: z.string(),
  /** Of the new certificate, as in `session-up`. */
  serial: z.string(),
  fingerprint: sha256,
  notAfter: instant,
  /** Serial number of the certificate that was renewed. */
  replaces: z.string().optional(),
});

export const suppressedRecord = z.strictObject({
  ...envelope,
  type: z.literal("suppressed"),
  /** Records that were not written because too many alike came: `flow` (denied) or `refusal`. */
  of: z.enum(["flow", "refusal"]),
  /** Whose flows, or which refusals; absent when it is of many. */
  key: z.string().optional(),
  count: z.int().positive(),
  from: instant,
  to: instant,
});

export const gapRecord = z.strictObject({
  ...envelope,
  type: z.literal("gap"),
  /** Records that were lost because the sink was slow, full or broken. */
  lost: z.int().positive(),
  /** The same, by type. */
  lostByType: z.record(z.string(), z.int().positive()),
  from: instant,
  to: instant,
  reason: z.string(),
});

export const auditRecord = z.discriminatedUnion("type", [
  openRecord,
  closeRecord,
  sessionUpRecord,
  sessionRenewedRecord,
  sessionDownRecord,
  flowRecord,
  policyRecord,
  refusalRecord,
  certificateRecord,
  suppressedRecord,
  gapRecord,
]);

export type AuditRecord = z.infer<typeof auditRecord>;
export type AuditType = AuditRecord["type"];

type Envelope = keyof typeof envelope | "type";
/** A record as its writer gives it: the log adds the envelope. */
export type Body<R> = Omit<R, Envelope>;
export type BodyOf<T extends AuditType> = Body<Extract<AuditRecord, { type: T }>>;

/** One line of a log as a record; what is wrong with it otherwise. */
export type ParsedLine =
  | { readonly ok: true; readonly record: AuditRecord }
  | { readonly ok: false; readonly problem: string };

/** Reads one line, without its line feed. Never throws. */
export function parseAuditLine(line: string): ParsedLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return { ok: false, problem: "not JSON" };
  }
  const parsed = auditRecord.safeParse(value);
  if (parsed.success) return { ok: true, record: parsed.data };
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "record" : issue.path.join(".");
  return { ok: false, problem: `${where}: ${issue?.message ?? "invalid"}` };
}
