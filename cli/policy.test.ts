/** The policy tools as a user runs them: real processes, their output and exit codes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type AdminTarget, buildAdmin } from "../relay/admin.ts";
import { DENIED, FLOW } from "../relay/audit-fixture.ts";
import { AuditLog } from "../relay/audit-log.ts";
import { LoopbackServer } from "../shared/admin/loopback-server.ts";

const MAIN = join(import.meta.dirname, "main.ts");
const OLD = `version: "1.0"
groups:
  staff: { members: [alice, client-1], rules: [{ id: web, type: ip_cidr, action: allow, destinations: [10.50.0.0/16], ports: [tcp/443], metadata: { reason: Web } }] }
clients:
  alice: { rules: [{ id: dns, type: ip_cidr, action: allow, destinations: [8.8.8.8], ports: [udp/53] }] }
  client-1:
tests:
  - { client: alice, dst: 10.50.0.1, proto: tcp, port: 443, expect: allow }
`;

const FILES: Readonly<Record<string, string>> = {
  "old.yaml": OLD,
  "new.yaml": OLD.replace("[8.8.8.8]", "[1.1.1.1]"),
  "closed.yaml": OLD.replace("tcp/443", "tcp/22").replace("port: 443, expect: allow", "port: 443, expect: deny"),
  "failing.yaml": OLD.replace("port: 443, expect: allow", "port: 444, expect: allow, name: web"),
  "wrong.yaml": OLD.replace("destinations: [8.8.8.8]", "destinatons: [8.8.8.8]"),
};

let folder = "";

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "zgate-policy-"));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);
  const log = await AuditLog.open({
    path: join(folder, "audit.jsonl"),
    version: "0.1.0",
    failClosed: false,
    maxBytes: 1_000_000,
  });
  log.flow(FLOW);
  log.flow(FLOW);
  log.flow(DENIED);
  await log.close();
});

after(() => rmSync(folder, { recursive: true }));

interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function policy(...args: readonly string[]): Promise<Run> {
  const env = { ...process.env, NO_COLOR: "1" };
  const child = spawn(process.execPath, [MAIN, "policy", ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  await once(child, "close");
  return { status: child.exitCode ?? -1, ...output };
}

const RUNS: readonly { args: readonly string[]; status: number; stdout: string; stderr?: string }[] = [
  { args: ["check", "old.yaml"], status: 0, stdout: "ok: old.yaml: 2 clients, 1 group, 2 rules, 1 test passed\n" },
  {
    args: ["check", "wrong.yaml"],
    status: 3,
    stdout: [
      'wrong.yaml:5:61: unknown key "destinatons"; did you mean "destinations"?',
      "    5 |   alice: { rules: [{ id: dns, type: ip_cidr, action: allow, destinatons: [8.8.8.8], ports: [udp/53] }] }",
      "      |                                                             ^",
      "refused: wrong.yaml: 1 problem\n",
    ].join("\n"),
  },
  {
    args: ["check", "failing.yaml"],
    status: 3,
    stdout: [
      'failing.yaml:8:5: test failed: "web": alice to 10.50.0.1 tcp/444; expected allow, but rule "default_action" decides deny (no rule matches, and default_action is deny)',
      "    8 |   - { client: alice, dst: 10.50.0.1, proto: tcp, port: 444, expect: allow, name: web }",
      "      |     ^",
      "refused: failing.yaml: 1 problem\n",
    ].join("\n"),
  },
  {
    args: ["check", "absent.yaml"],
    status: 3,
    stdout: "absent.yaml:1:1: there is no such file\nrefused: absent.yaml: 1 problem\n",
  },
  {
    args: ["test", "old.yaml"],
    status: 0,
    stdout: "pass alice to 10.50.0.1 tcp/443: allow by web\n1 passed, 0 failed\n",
  },
  {
    args: ["test", "failing.yaml"],
    status: 3,
    stdout: [
      'FAIL "web": alice to 10.50.0.1 tcp/444: deny by default_action',
      "     expected allow; the test is at failing.yaml:8:5, and no rule matches",
      "0 passed, 1 failed\n",
    ].join("\n"),
  },
  {
    args: ["test", "wrong.yaml"],
    status: 3,
    stdout: "",
    stderr: 'zgate: ZG_POLICY_INVALID: wrong.yaml:5:61: unknown key "destinatons"; did you mean "destinations"?\n',
  },
  {
    args: ["explain", "old.yaml", "--client", "alice", "--dst", "10.50.0.1", "--proto", "tcp", "--port", "443"],
    status: 0,
    stdout: [
      "alice to 10.50.0.1 tcp/443: allow by web (group staff, old.yaml:3:48)",
      "reason: Web",
      "passed over:",
      "  dns (client alice, old.yaml:5:20): the destination is not in 8.8.8.8\n",
    ].join("\n"),
  },
  {
    args: ["explain", "old.yaml", "--client", "client-1", "--dst", "::1", "--proto", "icmpv6", "--exit-code"],
    status: 1,
    stdout: [
      "client-1 to ::1 icmpv6: deny by default_action",
      "reason: no rule matches, and default_action is deny",
      "passed over:",
      "  web (group staff, old.yaml:3:48): the destination is not in 10.50.0.0/16\n",
    ].join("\n"),
  },
  {
    args: ["explain", "old.yaml", "--client", "alise", "--dst", "::1", "--proto", "47"],
    status: 2,
    stdout: "",
    stderr: 'zgate: ZG_CONFIG_INVALID: "alise" is not a client of the policy; did you mean "alice"?\n',
  },
  {
    args: ["explain", "old.yaml", "--client", "alice", "--dst", "::1", "--proto", "tcp"],
    status: 2,
    stdout: "",
    stderr: "zgate: ZG_CONFIG_INVALID: flow: tcp needs a port\n",
  },
  {
    args: ["diff", "old.yaml", "old.yaml", "--exit-code"],
    status: 0,
    stdout: "nothing becomes reachable and nothing stops being so\n",
  },
  { args: ["diff", "old.yaml", "new.yaml"], status: 0, stdout: "alice\n  + 1.1.1.1  udp/53\n  - 8.8.8.8  udp/53\n" },
  {
    args: ["diff", "old.yaml", "new.yaml", "--exit-code"],
    status: 1,
    stdout: "alice\n  + 1.1.1.1  udp/53\n  - 8.8.8.8  udp/53\n",
  },
  {
    args: ["replay", "--audit", "audit.jsonl", "closed.yaml"],
    status: 0,
    stdout: [
      "client-1 to 10.50.0.10 tcp/443: allow by allow-web becomes deny by default_action (2 flows, 42000 bytes)",
      "3 flows judged, 2 would flip\n",
    ].join("\n"),
  },
  {
    args: ["replay", "--audit", "audit.jsonl", "old.yaml", "--exit-code"],
    status: 1,
    stdout: [
      "client-1 to 10.50.0.10 tcp/443: deny by deny-default becomes allow by web (1 flow, 21000 bytes)",
      "3 flows judged, 1 would flip\n",
    ].join("\n"),
  },
];

for (const { args, status, stdout, stderr = "" } of RUNS) {
  test(`zgate policy ${args.join(" ")}`, async () => {
    assert.deepEqual(await policy(...args), { status, stdout, stderr });
  });
}

test("every answer is there as JSON", async () => {
  const check = await policy("check", "wrong.yaml", "--json");
  assert.equal(check.status, 3);
  const { ok, problems } = JSON.parse(check.stdout) as { ok: boolean; problems: unknown };
  assert.equal(ok, false);
  const hint = 'did you mean "destinations"?';
  assert.deepEqual(problems, [{ file: "wrong.yaml", line: 5, column: 61, message: 'unknown key "destinatons"', hint }]);

  const flow = ["--client", "alice", "--dst", "8.8.8.8", "--proto", "udp", "--port", "53"];
  const explained = await policy("explain", "old.yaml", "--json", ...flow);
  const { action, ruleId, reason, passed } = JSON.parse(explained.stdout) as Record<string, unknown>;
  assert.deepEqual(
    { action, ruleId, reason, passed },
    { action: "allow", ruleId: "dns", reason: "rule dns of client alice", passed: [] },
  );

  const diff = JSON.parse((await policy("diff", "old.yaml", "new.yaml", "--json")).stdout) as unknown;
  assert.deepEqual(diff, {
    same: false,
    clients: [
      {
        client: "alice",
        admitted: "still",
        gained: [{ destinations: ["1.1.1.1"], ports: ["udp/53"] }],
        lost: [{ destinations: ["8.8.8.8"], ports: ["udp/53"] }],
        limits: [],
      },
    ],
  });

  const tests = JSON.parse((await policy("test", "failing.yaml", "--json")).stdout) as Record<string, unknown>;
  assert.equal(tests["failed"], 1);
  const replay = JSON.parse(
    (await policy("replay", "--audit", "audit.jsonl", "closed.yaml", "--json")).stdout,
  ) as Record<string, unknown>;
  assert.equal(replay["flows"], 3);
});

test("a relay is asked by --live, and told by reload", async () => {
  const asked: unknown[] = [];
  const unused = (): never => {
    throw new Error("not asked for");
  };
  let applied = true;
  const target: AdminTarget = {
    health: unused,
    status: unused,
    sessions: unused,
    disconnect: unused,
    metrics: unused,
    reloadPolicy: () =>
      Promise.resolve({
        applied,
        generation: 7,
        changes: ["a: + 10.0.0.0/8  tcp/443"],
        problems: ["p.yaml:1:1: wrong"],
      }),
    explain: async (question) => {
      asked.push(question);
      const traffic = { packets: 2, bytes: 120 };
      const flow = {
        session: "a1",
        src: "10.77.0.2",
        srcPort: 4242,
        state: "denied",
        idleMs: 12,
        up: traffic,
        down: traffic,
      } as const;
      return {
        action: "deny",
        ruleId: "deny-default",
        reason: "no",
        generation: 7,
        rule: null,
        passed: [],
        flows: [flow],
      };
    },
  };
  // Many tests have ports of 127.0.0.1: one may take the port that becomes free.
  const server = await LoopbackServer.open({ host: "::1", port: 0 }, buildAdmin(target));
  const admin = ["--admin", server.address];
  const flow = ["--client", "a", "--dst", "10.0.0.1", "--proto", "tcp", "--port", "22"];
  const explained = await policy("explain", "--live", ...admin, ...flow);
  const reloaded = await policy("reload", ...admin);
  applied = false;
  const refused = await policy("reload", ...admin);
  await server.close();
  const gone = await policy("reload", ...admin);

  assert.deepEqual(asked, [{ client: "a", dst: "10.0.0.1", proto: "tcp", port: 22 }]);
  assert.equal(
    explained.stdout,
    "a to 10.0.0.1 tcp/22: deny by deny-default, policy generation 7\nreason: no\nflow from 10.77.0.2:4242: denied, idle for 12 ms, up 2 packets (120 bytes), down 2 packets (120 bytes)\n",
  );
  assert.deepEqual(reloaded, { status: 0, stdout: "in force: generation 7\na: + 10.0.0.0/8  tcp/443\n", stderr: "" });
  assert.deepEqual(refused, {
    status: 3,
    stdout: "p.yaml:1:1: wrong\nrefused: 1 problem; generation 7 stays in force\n",
    stderr: "",
  });
  assert.equal(gone.status, 5);
  assert.match(gone.stderr, /^zgate: ZG_CONNECT_FAILED: no relay answers at \[::1\]:\d+: .*ECONNREFUSED/);
});
