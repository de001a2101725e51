import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FlowTarget } from "../packet/flow.ts";
import { unixMs } from "../units.ts";
import { parseAddress, parsePrefix, type Prefix } from "./address.ts";
import { rangeOf } from "./address-segments.ts";
import { compilePolicy } from "./compile.ts";
import { Complaint } from "./complaint.ts";
import { comparePolicies, type Reachable } from "./difference.ts";
import { parsePolicy } from "./parse.ts";
import { policy, question } from "./policy-fixture.ts";
import { parsePortSelector, parseProtocol } from "./port-selector.ts";

const HEAD = 'version: "1.0"\n';

function compare(before: string, after: string): unknown {
  return comparePolicies(parsePolicy(HEAD + before), parsePolicy(HEAD + after), unixMs(0));
}

function oneRule(rule: string): string {
  return `clients:\n  a: { rules: [{ id: x, ${rule} }] }\n`;
}

const still = { client: "a", admitted: "still", gained: [], lost: [], limits: [] };

const CASES: readonly { name: string; before: string; after: string; difference: unknown }[] = [
  {
    name: "the same in other words",
    before: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.0/24]"),
    after: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.0/25, 10.0.0.128/25], description: new"),
    difference: [],
  },
  {
    name: "a port more, a port less",
    before: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.0/24], ports: [tcp/80-81]"),
    after: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.0/24], ports: [tcp/81-82]"),
    difference: [
      {
        ...still,
        gained: [{ destinations: ["10.0.0.0/24"], ports: ["tcp/82"] }],
        lost: [{ destinations: ["10.0.0.0/24"], ports: ["tcp/80"] }],
      },
    ],
  },
  {
    name: "ports taken out of everything",
    before: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.1]"),
    after: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.1], ports: [tcp/443, icmp]"),
    difference: [
      {
        ...still,
        lost: [{ destinations: ["10.0.0.1"], ports: ["tcp/0-442", "tcp/444-65535", "every protocol but icmp, tcp"] }],
      },
    ],
  },
  {
    name: "a whole client",
    before: "clients: {}\n",
    after: oneRule('type: ip_cidr, action: allow, destinations: [10.0.0.0/8, "2001:db8::/32"]'),
    difference: [
      { ...still, admitted: "newly", gained: [{ destinations: ["10.0.0.0/8", "2001:db8::/32"], ports: ["*"] }] },
    ],
  },
  {
    name: "a client who is disabled",
    before: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.0/8]"),
    after:
      "clients:\n  a: { enabled: false, rules: [{ id: x, type: ip_cidr, action: allow, destinations: [10.0.0.0/8] }] }\n",
    difference: [{ ...still, admitted: "no longer", lost: [{ destinations: ["10.0.0.0/8"], ports: ["*"] }] }],
  },
  {
    name: "a hole is a range",
    before: oneRule("type: ip_cidr, action: allow, destinations: [10.0.0.0/24]"),
    after:
      "clients:\n  a: { rules: [{ id: y, type: ip_cidr, action: deny, destinations: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5] }, { id: x, type: ip_cidr, action: allow, destinations: [10.0.0.0/24] }] }\n",
    difference: [{ ...still, lost: [{ destinations: ["10.0.0.1", "10.0.0.2/31", "10.0.0.4/31"], ports: ["*"] }] }],
  },
  {
    name: "limits",
    before: "clients:\n  a: { max_sessions: 2 }\n",
    after: "clients:\n  a: { rate_limit: { up: 10M } }\n",
    difference: [{ ...still, limits: ["max_sessions: 2 to no limit", "rate_limit up: no limit to 10000000 bit/s"] }],
  },
  {
    name: "default_action",
    before: "clients: { a: }\n",
    after: "default_action: allow\nclients: { a: }\n",
    difference: [{ ...still, gained: [{ destinations: ["0.0.0.0/0", "::/0"], ports: ["*"] }] }],
  },
];

for (const { name, before, after, difference } of CASES) {
  test(name, () => {
    assert.deepEqual(compare(before, after), difference);
  });
}

test("a flow changes its verdict exactly where the difference says so", () => {
  fc.assert(
    fc.property(policy, policy, fc.array(question, { minLength: 1, maxLength: 30 }), (before, after, questions) => {
      const at = questions[0]![2];
      const differences = new Map(
        comparePolicies(before, after, at).map((difference) => [difference.client, difference]),
      );
      const compiled = { before: compilePolicy(before), after: compilePolicy(after) };
      for (const [name, flow] of questions) {
        const was = compiled.before.client(name)!.judge(flow, at).action;
        const is = compiled.after.client(name)!.judge(flow, at).action;
        // A packet that hides its ports is not what a difference in ports is about.
        if (!flow.hasPorts && flow.icmpType < 0 && [1, 6, 17, 58, 132].includes(flow.protocol)) continue;
        const difference = differences.get(name);
        assert.equal(holds(difference?.gained ?? [], flow), was === "deny" && is === "allow", "gained");
        assert.equal(holds(difference?.lost ?? [], flow), was === "allow" && is === "deny", "lost");
      }
    }),
    { numRuns: 300 },
  );
});

function holds(reachables: readonly Reachable[], flow: FlowTarget): boolean {
  return reachables.some(
    ({ destinations, ports }) => destinations.some((text) => covers(text, flow)) && selects(ports, flow),
  );
}

function covers(text: string, flow: FlowTarget): boolean {
  const [first = "", last] = text.split("-");
  const { start, end } =
    last === undefined ? rangeOf(valid(parsePrefix(first))) : { start: address(first), end: address(last) };
  const value = [flow.dst0, flow.dst1, flow.dst2, flow.dst3].reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
  return text.includes(":") === (flow.version === 6) && start <= value && value <= end;
}

function address(text: string): bigint {
  return rangeOf(valid(parseAddress(text))).start;
}

function valid(prefix: Prefix | Complaint): Prefix {
  assert.ok(!(prefix instanceof Complaint));
  return prefix;
}

const BUT = "every protocol but ";

function selects(ports: readonly string[], flow: FlowTarget): boolean {
  const value = flow.hasPorts ? flow.dstPort : flow.icmpType;
  return ports.some((text) => {
    if (text === "*") return true;
    if (text.startsWith(BUT)) return !text.slice(BUT.length).split(", ").map(parseProtocol).includes(flow.protocol);
    const selector = parsePortSelector(text);
    assert.ok(!(selector instanceof Complaint));
    if (selector.protocol !== flow.protocol) return false;
    return !selector.ranged || (selector.from <= value && value <= selector.to);
  });
}
