/**
 * Health, metrics and administration over HTTP, on a loopback address only (`LoopbackServer`).
 *
 *   GET    /healthz              200 while the process serves; the body says what is degraded
 *   GET    /readyz               200 when sessions are accepted, else 503 with the reasons
 *   GET    /metrics              Prometheus text
 *   GET    /v1/status            the relay and its sessions: ?client=NAME&limit=N
 *   DELETE /v1/sessions/:id      disconnects a session: 204, or 404
 *   POST   /v1/policy/reload     200 applied, 422 refused (the policy in force stays)
 *   POST   /v1/explain           what the policy in force says about a flow
 */
import type { FastifyInstance } from "fastify";
import { fail, loopbackApp } from "../shared/admin/loopback-server.ts";
import type { RuleReport } from "../shared/policy/explain.ts";
import type { DeviceStatus } from "../shared/tunnel/offload-report.ts";
import { ADMIN_SESSIONS_LISTED } from "./constants.ts";

/** What the admin server administrates: the relay, or a fake in tests. */
export interface AdminTarget {
  health(): Health;
  status(): RelayStatus;
  /** Every session, or one client's. Read as far as needed. */
  sessions(client: string | undefined): Iterable<SessionStatus>;
  /** False when there is no such session. */
  disconnect(session: string): boolean;
  reloadPolicy(): Promise<ReloadAnswer>;
  /** Rejects with a `ZgateError` when the question is wrong, such as an address that is none. */
  explain(question: ExplainQuestion): Promise<ExplainAnswer>;
  /** The Prometheus text and its media type. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface Health {
  /** Sessions are accepted. */
  readonly ready: boolean;
  /** What is not as it should be, in sentences: an audit log that fails, a policy that was refused. */
  readonly problems: readonly string[];
}

export interface RelayStatus {
  readonly version: string;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly draining: boolean;
  readonly sessions: number;
  readonly leases: { readonly active: number; readonly capacity: number };
  readonly device: DeviceStatus;
  readonly policy: { readonly generation: number; readonly files: readonly string[] };
  /** `head`: the audit log's last record, as an anchor for `zgate audit verify --head`. */
  readonly audit: { readonly healthy: boolean; readonly lost: number; readonly head: { seq: number; hash: string } };
}

export interface SessionStatus {
  readonly id: string;
  readonly client: string;
  readonly remote: string;
  /** Of the client's certificate, the newest where the session was renewed. */
  readonly serial: string;
  /** RFC 3339. */
  readonly notAfter: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** RFC 3339. */
  readonly since: string;
  readonly group: string;
  readonly cipher: string;
  readonly protocol: "zgate" | "connect-ip";
  readonly lanes: number;
  readonly flows: number;
  readonly rttMs: number;
  /** From the client, and to it. */
  readonly up: { readonly packets: number; readonly bytes: number };
  readonly down: { readonly packets: number; readonly bytes: number };
  readonly dropped: number;
}

export interface ReloadAnswer {
  readonly applied: boolean;
  /** Of the policy in force now. */
  readonly generation: number;
  /** What changed, when applied. */
  readonly changes: readonly string[];
  /** What is wrong, when refused. */
  readonly problems: readonly string[];
}

export interface ExplainQuestion {
  readonly client: string;
  /** An IPv4 or IPv6 address. */
  readonly dst: string;
  /** As in a policy: `tcp`, `udp`, `icmp`, or a number. */
  readonly proto: string;
  readonly port?: number;
  readonly icmpType?: number;
  /** RFC 3339; now when absent. */
  readonly at?: string;
}

export interface ExplainAnswer {
  readonly action: "allow" | "deny";
  readonly ruleId: string;
  readonly reason: string;
  readonly generation: number;
  /** The rule that decides; null when none does. */
  readonly rule: RuleReport | null;
  /** The rules that were passed over, and why. */
  readonly passed: readonly RuleReport[];
  /** Flows to that destination that are in progress. */
  readonly flows: readonly FlowStatus[];
}

export interface FlowStatus {
  readonly session: string;
  readonly src: string;
  /** 0 where the protocol has none. */
  readonly srcPort: number;
  readonly state: "allowed" | "denied";
  /** Since its last packet. */
  readonly idleMs: number;
  /** From the client, and to it. */
  readonly up: { readonly packets: number; readonly bytes: number };
  readonly down: { readonly packets: number; readonly bytes: number };
}

const explainSchema = {
  type: "object",
  additionalProperties: false,
  required: ["client", "dst", "proto"],
  properties: {
    client: { type: "string", minLength: 1, maxLength: 255 },
    dst: { type: "string", minLength: 1, maxLength: 64 },
    proto: { type: "string", minLength: 1, maxLength: 16 },
    port: { type: "integer", minimum: 0, maximum: 65_535 },
    icmpType: { type: "integer", minimum: 0, maximum: 255 },
    at: { type: "string", maxLength: 64 },
  },
} as const;

const statusSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    client: { type: "string", minLength: 1, maxLength: 255 },
    // A query string is text; `coerceTypes` is off, so that a body cannot pass "1" for 1.
    limit: { type: "string", pattern: "^[0-9]{1,4}$" },
  },
} as const;

/** The application, for `LoopbackServer` and for tests by `inject`. */
export function buildAdmin(target: AdminTarget): FastifyInstance {
  const app = loopbackApp();
  app.get("/healthz", () => {
    const { problems } = target.health();
    return { status: problems.length === 0 ? "ok" : "degraded", problems };
  });
  app.get("/readyz", (_request, reply) => {
    const { ready, problems } = target.health();
    return reply.code(ready ? 200 : 503).send({ ready, problems });
  });
  app.get("/metrics", async (_request, reply) => {
    const { contentType, text } = await target.metrics();
    return reply.type(contentType).send(text);
  });
  app.get<{ Querystring: { client?: string; limit?: string } }>(
    "/v1/status",
    { schema: { querystring: statusSchema } },
    ({ query }) => {
      const limit = Math.min(Number(query.limit ?? ADMIN_SESSIONS_LISTED), ADMIN_SESSIONS_LISTED);
      return { ...target.status(), list: Iterator.from(target.sessions(query.client)).take(limit).toArray() };
    },
  );
  app.delete<{ Params: { id: string } }>("/v1/sessions/:id", ({ params }, reply) => {
    if (target.disconnect(params.id)) return reply.code(204).send();
    return fail(reply, 404, "not-found", `there is no session ${params.id}`);
  });
  app.post("/v1/policy/reload", async (_request, reply) => {
    const answer = await target.reloadPolicy();
    return reply.code(answer.applied ? 200 : 422).send(answer);
  });
  app.post<{ Body: ExplainQuestion }>("/v1/explain", { schema: { body: explainSchema } }, ({ body }) =>
    target.explain(body),
  );
  return app;
}
