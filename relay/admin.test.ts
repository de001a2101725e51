import assert from "node:assert/strict";
import { test } from "node:test";
import type { InjectOptions } from "fastify";
import { ZgateError } from "../shared/errors.ts";
import { LoopbackServer } from "../shared/admin/loopback-server.ts";
import { FakeTun } from "../shared/native/fake-tun.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { deviceStatus } from "../shared/tunnel/offload-report.ts";
import {
  type AdminTarget,
  buildAdmin,
  type ExplainAnswer,
  type ExplainQuestion,
  type Health,
  type ReloadAnswer,
  type SessionStatus,
} from "./admin.ts";

const session = (id: string, client: string): SessionStatus => ({
  id,
  client,
  remote: "192.0.2.1:5000",
  serial: "5c0fd6a1",
  notAfter: "2026-01-02T00:00:00.000Z",
  ipv4: "10.77.0.2",
  ipv6: "fd77:7a67::2",
  since: "2026-01-01T00:00:00.000Z",
  group: "X25519MLKEM768",
  cipher: "TLS13_AES_128_GCM_SHA256",
  protocol: "zgate",
  lanes: 8,
  flows: 3,
  rttMs: 12.5,
  up: { packets: 1, bytes: 100 },
  down: { packets: 2, bytes: 200 },
  dropped: 0,
});

const tun = new FakeTun();

class FakeTarget implements AdminTarget {
  healthNow: Health = { ready: true, problems: [] };
  reload: ReloadAnswer = { applied: true, generation: 2, changes: ["client-1: + 10.0.0.0/8"], problems: [] };
  all = [session("s-1", "alice"), session("s-2", "bob")];
  /** Sessions that were read from the iterator. */
  read = 0;
  asked: ExplainQuestion | undefined;

  health(): Health {
    return this.healthNow;
  }

  status(): ReturnType<AdminTarget["status"]> {
    return {
      version: "0.1.0",
      startedAt: "2026-01-01T00:00:00.000Z",
      draining: false,
      sessions: this.all.length,
      leases: { active: 2, capacity: 65_533 },
      device: deviceStatus(tun, new DeviceWriter(tun, () => undefined)),
      policy: { generation: 1, files: ["policy.yaml"] },
      audit: { healthy: true, lost: 0, head: { seq: 1, hash: "00" } },
    };
  }

  *sessions(client: string | undefined): Iterable<SessionStatus> {
    for (const one of this.all) {
      if (client !== undefined && one.client !== client) continue;
      this.read++;
      yield one;
    }
  }

  disconnect(id: string): boolean {
    const before = this.all.length;
    this.all = this.all.filter((one) => one.id !== id);
    return this.all.length < before;
  }

  async reloadPolicy(): Promise<ReloadAnswer> {
    return this.reload;
  }

  async explain(question: ExplainQuestion): Promise<ExplainAnswer> {
    if (question.dst === "nonsense") throw new ZgateError("ZG_CONFIG_INVALID", "dst: nonsense is no address");
    if (question.dst === "bug") throw new TypeError("oh");
    this.asked = question;
    return {
      action: "deny",
      ruleId: "deny-default",
      reason: "no rule",
      generation: 1,
      rule: null,
      passed: [],
      flows: [],
    };
  }

  async metrics(): ReturnType<AdminTarget["metrics"]> {
    return { contentType: "text/plain; version=0.0.4; charset=utf-8", text: "zgate_sessions 2\n" };
  }
}

async function ask(target: AdminTarget, request: InjectOptions) {
  const headers = { host: "127.0.0.1:9443", ...request.headers };
  const { statusCode, body, headers: answered } = await buildAdmin(target).inject({ ...request, headers });
  return { statusCode, body, type: answered["content-type"] };
}

const json = (body: string): unknown => JSON.parse(body);

test("health stays 200 and says what is degraded; readiness is 503 with the reasons", async () => {
  const target = new FakeTarget();
  assert.deepEqual(json((await ask(target, { url: "/healthz" })).body), { status: "ok", problems: [] });
  assert.equal((await ask(target, { url: "/readyz" })).statusCode, 200);

  target.healthNow = { ready: false, problems: ["the audit log fails: ENOSPC"] };
  const health = await ask(target, { url: "/healthz" });
  assert.equal(health.statusCode, 200);
  assert.deepEqual(json(health.body), { status: "degraded", problems: ["the audit log fails: ENOSPC"] });
  const ready = await ask(target, { url: "/readyz" });
  assert.equal(ready.statusCode, 503);
  assert.deepEqual(json(ready.body), { ready: false, problems: ["the audit log fails: ENOSPC"] });
});

test("metrics come with the media type that Prometheus expects", async () => {
  const { body, type } = await ask(new FakeTarget(), { url: "/metrics" });
  assert.equal(type, "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(body, "zgate_sessions 2\n");
});

test("status lists sessions, all or one client's, and reads no more than it lists", async () => {
  const target = new FakeTarget();
  const all = json((await ask(target, { url: "/v1/status" })).body) as { sessions: number; list: SessionStatus[] };
  assert.equal(all.sessions, 2);
  assert.deepEqual(all.list, target.all);

  const bob = json((await ask(target, { url: "/v1/status?client=bob" })).body) as { list: SessionStatus[] };
  assert.deepEqual(
    bob.list.map(({ id }) => id),
    ["s-2"],
  );

  target.all = Array.from({ length: 5_000 }, (_, index) => session(`s-${index}`, "alice"));
  target.read = 0;
  const some = json((await ask(target, { url: "/v1/status?limit=3" })).body) as { sessions: number; list: unknown[] };
  assert.equal(some.sessions, 5_000);
  assert.equal(some.list.length, 3);
  assert.equal(target.read, 3);
  const most = json((await ask(target, { url: "/v1/status?limit=9999" })).body) as { list: unknown[] };
  assert.equal(most.list.length, 1_000);
});

test("a session is disconnected once", async () => {
  const target = new FakeTarget();
  assert.equal((await ask(target, { method: "DELETE", url: "/v1/sessions/s-1" })).statusCode, 204);
  const again = await ask(target, { method: "DELETE", url: "/v1/sessions/s-1" });
  assert.equal(again.statusCode, 404);
  assert.deepEqual(json(again.body), { code: "not-found", message: "there is no session s-1" });
});

test("a reload that is refused is 422 with its problems", async () => {
  const target = new FakeTarget();
  const applied = await ask(target, { method: "POST", url: "/v1/policy/reload" });
  assert.equal(applied.statusCode, 200);
  assert.deepEqual(json(applied.body), target.reload);
  target.reload = { applied: false, generation: 2, changes: [], problems: ["policy.yaml:3:5: what"] };
  const refused = await ask(target, { method: "POST", url: "/v1/policy/reload" });
  assert.equal(refused.statusCode, 422);
  assert.deepEqual(json(refused.body), target.reload);
});

test("explain passes the question on", async () => {
  const target = new FakeTarget();
  const payload = { client: "alice", dst: "10.0.0.1", proto: "tcp", port: 443 };
  const answer = await ask(target, { method: "POST", url: "/v1/explain", payload });
  assert.equal(answer.statusCode, 200);
  assert.deepEqual(target.asked, payload);
  assert.equal((json(answer.body) as ExplainAnswer).ruleId, "deny-default");
});

test("what is wrong with a request is said, and never crashes the server", async () => {
  const explain = (payload: object | string, headers = {}): InjectOptions => ({
    method: "POST",
    url: "/v1/explain",
    payload,
    headers,
  });
  const right = { client: "a", dst: "10.0.0.1", proto: "tcp" };
  const cases: readonly (readonly [name: string, request: InjectOptions, status: number, code: string])[] = [
    ["no such path", { url: "/nothing" }, 404, "not-found"],
    ["no such method", { method: "PUT", url: "/v1/status" }, 404, "not-found"],
    ["limit is no number", { url: "/v1/status?limit=-1" }, 400, "FST_ERR_VALIDATION"],
    ["unknown query", { url: "/v1/status?what=1" }, 400, "FST_ERR_VALIDATION"],
    ["dst missing", explain({ client: "a", proto: "tcp" }), 400, "FST_ERR_VALIDATION"],
    ["port as text", explain({ ...right, port: "443" }), 400, "FST_ERR_VALIDATION"],
    ["port too large", explain({ ...right, port: 65_536 }), 400, "FST_ERR_VALIDATION"],
    ["unknown key", explain({ ...right, prot: "tcp" }), 400, "FST_ERR_VALIDATION"],
    ["no body", { method: "POST", url: "/v1/explain" }, 400, "FST_ERR_VALIDATION"],
    ["not JSON", explain("{", { "content-type": "application/json" }), 400, "FST_ERR_CTP_INVALID_JSON_BODY"],
    ["text", explain("{}", { "content-type": "text/plain" }), 415, "FST_ERR_CTP_INVALID_MEDIA_TYPE"],
    ["too large", explain({ ...right, at: "x".repeat(20_000) }), 413, "FST_ERR_CTP_BODY_TOO_LARGE"],
    ["refused by the target", explain({ ...right, dst: "nonsense" }), 400, "ZG_CONFIG_INVALID"],
    ["a bug in the target", explain({ ...right, dst: "bug" }), 500, "internal"],
  ];
  for (const [name, request, status, code] of cases) {
    const answer = await ask(new FakeTarget(), request);
    assert.equal(answer.statusCode, status, name);
    assert.equal((json(answer.body) as { code: string }).code, code, name);
  }
});

test("web pages and rebound names are refused, before anything is done", async () => {
  const cases: readonly (readonly [headers: Record<string, string>, status: number])[] = [
    [{ host: "127.0.0.1:9443" }, 204],
    [{ host: "127.0.0.1" }, 204],
    [{ host: "[::1]:9443" }, 204],
    [{ host: "localhost:9443" }, 204],
    [{ host: "LocalHost" }, 204],
    [{ host: "127.0.0.1:9443", "sec-fetch-site": "none" }, 204],
    [{ host: "evil.example" }, 403],
    [{ host: "evil.example:9443" }, 403],
    [{ host: "127.0.0.1.evil.example" }, 403],
    [{ host: "localhost.evil.example" }, 403],
    [{ host: "10.0.0.1:9443" }, 403],
    [{ host: "127.0.0.1, evil.example" }, 403],
    [{ host: "127.0.0.1:9443", origin: "http://evil.example" }, 403],
    [{ host: "127.0.0.1:9443", origin: "null" }, 403],
    [{ host: "127.0.0.1:9443", "sec-fetch-site": "cross-site" }, 403],
    [{ host: "127.0.0.1:9443", "sec-fetch-site": "same-origin" }, 403],
  ];
  for (const [headers, status] of cases) {
    const target = new FakeTarget();
    const answer = await ask(target, { method: "DELETE", url: "/v1/sessions/s-1", headers });
    assert.equal(answer.statusCode, status, JSON.stringify(headers));
    assert.equal(target.all.length, status === 204 ? 1 : 2, JSON.stringify(headers));
  }
});

test("only a loopback address is bound", async () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "localhost", "fe80::1"]) {
    await assert.rejects(LoopbackServer.open({ host, port: 0 }, buildAdmin(new FakeTarget())), {
      code: "ZG_CONFIG_INVALID",
    });
  }
});

test("a port that is taken is said plainly, and a closed server frees it", async () => {
  for (const host of ["127.0.0.1", "::1"]) {
    const first = await LoopbackServer.open({ host, port: 0 }, buildAdmin(new FakeTarget()));
    const answer = await fetch(`http://${first.address}/healthz`);
    assert.deepEqual(await answer.json(), { status: "ok", problems: [] });
    const port = Number(first.address.split(":").at(-1));
    await assert.rejects(LoopbackServer.open({ host, port }, buildAdmin(new FakeTarget())), {
      code: "ZG_CONFIG_INVALID",
      message: new RegExp(`^admin .*:${port}: cannot be bound: listen EADDRINUSE`),
    });
    await first.close();
    // Many tests have ports of 127.0.0.1: one may take the port that has become free.
    if (host === "::1") await (await LoopbackServer.open({ host, port }, buildAdmin(new FakeTarget()))).close();
  }
});
