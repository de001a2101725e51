/** What the compiled policy keeps beside the verdicts: limits, indices, times, bounds; and that judging is free. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allocatedPerRun } from "../allocation.ts";
import type { FlowTarget } from "../packet/flow.ts";
import { unixMs } from "../units.ts";
import { compilePolicy } from "./compile.ts";
import { decisionOf } from "./matcher-code.ts";
import { parsePolicy } from "./parse.ts";
import { PolicyError } from "./problem.ts";

const HEAD = 'version: "1.0"\n';

function tcp(dst3: number, dstPort: number): FlowTarget {
  return { version: 4, protocol: 6, dst0: 0, dst1: 0, dst2: 0, dst3, hasPorts: true, dstPort, icmpType: -1 };
}

const POLICY = `${HEAD}
groups:
  one: { members: [a], max_sessions: 5, rate_limit: { up: 1M } }
  off: { members: [a, b], enabled: false, max_sessions: 9, rules: [{ id: off, type: default, action: allow }] }
  two: { members: [a, b], max_sessions: 7, rate_limit: { up: 2M, down: 3M }, rules: [{ id: two, type: ip_cidr, action: allow, destinations: [10.0.0.0/8], log: true, metadata: { reason: Two } }] }
clients:
  a: { rate_limit: { down: 9M } }
  b: { max_sessions: 1, rules: [{ id: b, type: ip_cidr, action: deny, destinations: [10.0.0.1] }] }
  c: { enabled: false, rules: [{ id: c, type: default, action: allow }] }
`;

test("a client's own limit comes first, then that of its first enabled group that has one", () => {
  const policy = compilePolicy(parsePolicy(POLICY));
  assert.deepEqual(policy.client("a")?.limits, { maxSessions: 5, upBitsPerSecond: 1e6, downBitsPerSecond: 9e6 });
  assert.deepEqual(policy.client("b")?.limits, { maxSessions: 1, upBitsPerSecond: 2e6, downBitsPerSecond: 3e6 });
});

test("verdicts say who decided, and are found again by their index", () => {
  const policy = compilePolicy(parsePolicy(POLICY));
  const at = unixMs(0);
  const cases = [
    { client: "a", flow: tcp(0x0a00_0001, 443), action: "allow", ruleId: "two", reason: "Two", log: true },
    {
      client: "b",
      flow: tcp(0x0a00_0001, 443),
      action: "deny",
      ruleId: "b",
      reason: "rule b of client b",
      log: undefined,
    },
    { client: "b", flow: tcp(0x0a00_0002, 443), action: "allow", ruleId: "two", reason: "Two", log: true },
    {
      client: "a",
      flow: tcp(0x0b00_0001, 443),
      action: "deny",
      ruleId: "default_action",
      reason: "no rule matches, and default_action is deny",
      log: undefined,
    },
    {
      client: "c",
      flow: tcp(0x0b00_0001, 443),
      action: "deny",
      ruleId: "client_disabled",
      reason: "the client is disabled or not in the policy",
      log: undefined,
    },
  ];
  for (const { client, flow, ...expected } of cases) {
    const { index, ...verdict } = policy.client(client)!.judge(flow, at);
    assert.deepEqual(verdict, expected);
    assert.equal(policy.verdict(index).ruleId, expected.ruleId);
    assert.equal(policy.client(client)!.decide(flow, at), decisionOf(index, expected.action === "allow"));
  }
  assert.equal(policy.client("d"), undefined);
  assert.equal(policy.verdict(99), policy.refusal);
});

test("the next change is the first of all conditions", () => {
  const rule = (id: string, time: string): string =>
    `{ id: ${id}, type: ip_cidr, action: allow, destinations: [10.0.0.1], ${time} }`;
  const rules = [
    rule("x", "not_before: 2026-01-03T00:00:00Z"),
    rule("y", "not_after: 2026-01-02T00:00:00Z"),
    rule("z", 'schedule: { days: mon, hours: "08:00-09:00", timezone: UTC }'),
  ];
  const policy = compilePolicy(parsePolicy(`${HEAD}clients:\n  a: { rules: [${rules.join(", ")}] }\n`));
  const changes: string[] = [];
  for (let at = unixMs(Date.UTC(2026, 0, 1)); changes.length < 4;) {
    const next = policy.nextChangeAfter(at);
    assert.ok(next !== undefined && next > at);
    changes.push(`${new Date(next).toISOString()} ${policy.client("a")!.judge(tcp(0x0a00_0001, 1), next).ruleId}`);
    at = next;
  }
  assert.deepEqual(changes, [
    "2026-01-02T00:00:00.000Z default_action",
    "2026-01-03T00:00:00.000Z x",
    "2026-01-05T08:00:00.000Z x",
    "2026-01-05T09:00:00.000Z x",
  ]);
  assert.equal(compilePolicy(parsePolicy(`${HEAD}clients: { a: }\n`)).nextChangeAfter(unixMs(0)), undefined);
});

test("many rules with the same prefix are found by port", () => {
  const ports = Array.from(
    { length: 5_000 },
    (_, index) => `{ id: p${index}, type: default, action: allow, ports: [tcp/${2 * index}] }`,
  );
  const policy = compilePolicy(parsePolicy(`${HEAD}clients:\n  a: { rules: [${ports.join(", ")}] }\n`));
  for (const port of [0, 2, 4_998, 9_998])
    assert.equal(policy.client("a")!.judge(tcp(1, port), unixMs(0)).ruleId, `p${port / 2}`);
  for (const port of [1, 9_999, 65_535])
    assert.equal(policy.client("a")!.judge(tcp(1, port), unixMs(0)).action, "deny");
});

test("rules that overlap in too many ways are refused, with the list that they are in", () => {
  const rules = Array.from({ length: 2_000 }, (_, index) => {
    const day = new Date(Date.UTC(2030, 0, index + 1)).toISOString();
    return `{ id: r${index}, type: default, action: allow, ports: [tcp/${index}-${60_000 + index}], not_before: ${day} }`;
  });
  const document = parsePolicy(`${HEAD}clients:\n  a: { rules: [${rules.join(", ")}] }\n`, "p.yaml");
  assert.throws(
    () => compilePolicy(document),
    (error) => {
      assert.ok(error instanceof PolicyError);
      assert.equal(
        error.message,
        "p.yaml:3:3: the rules of client a overlap in too many ways (more than 2000000 in all); use fewer different times for rules with the same destinations and ports",
      );
      return true;
    },
  );
});

test("judging allocates nothing, with conditions too", () => {
  const schedule = 'schedule: { days: mon-fri, hours: "08:00-18:00", timezone: Europe/Berlin }';
  const text = `${POLICY}  d: { rules: [{ id: d, type: ip_cidr, action: allow, destinations: [10.0.0.0/16], ports: [tcp/1-9], ${schedule} }, { id: e, type: default, action: allow, ports: [udp/1] }] }\n`;
  const policy = compilePolicy(parsePolicy(text));
  const clients = [...policy.clientNames()].map((name) => policy.client(name)!);
  const flows = [tcp(0x0a00_0001, 5), tcp(0x0a01_0001, 443), tcp(0xffff_ffff, 80)];
  const at = unixMs(Date.now());
  let allowed = 0;
  const bytes = allocatedPerRun(() => {
    for (const client of clients) for (const flow of flows) if (client.judge(flow, at).action === "allow") allowed++;
  });
  assert.ok(bytes < 1, `${bytes} bytes`);
  assert.ok(allowed > 0);
});
