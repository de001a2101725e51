import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FlowTarget } from "../packet/flow.ts";
import { unixMs } from "../units.ts";
import { formatAddress } from "./address.ts";
import { compilePolicy } from "./compile.ts";
import { parsePolicy } from "./parse.ts";
import { policy, question } from "./policy-fixture.ts";
import { ClientRoutes, type Route } from "./routes.ts";

function routesOf(rules: string, defaultAction = "deny"): string[] {
  const text = `version: "1.0"\ndefault_action: ${defaultAction}\nclients:\n  a:\n    rules:\n${rules}`;
  const routes = new ClientRoutes(parsePolicy(text), unixMs(0)).of("a");
  return routes.map(
    ({ version, ipProtocol, start, end }) =>
      `${formatAddress(version, ...start)}-${formatAddress(version, ...end)} ${ipProtocol}`,
  );
}

const CASES: readonly { name: string; rules: string; defaultAction?: string; routes: readonly string[] }[] = [
  { name: "no rules", rules: "      []\n", routes: [] },
  {
    name: "no rules, default allow",
    rules: "      []\n",
    defaultAction: "allow",
    routes: ["0.0.0.0-255.255.255.255 0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 0"],
  },
  {
    name: "neighbours are one range",
    rules:
      "      - { id: x, type: ip_cidr, action: allow, destinations: [10.0.0.0/25, 10.0.0.128/25, 10.0.1.0/24, 10.1.0.0/16] }\n",
    routes: ["10.0.0.0-10.0.1.255 0", "10.1.0.0-10.1.255.255 0"],
  },
  {
    name: "an earlier deny cuts a hole",
    rules:
      "      - { id: x, type: ip_cidr, action: deny, destinations: [10.0.0.1] }\n      - { id: y, type: ip_cidr, action: allow, destinations: [10.0.0.0/30] }\n",
    routes: ["10.0.0.0-10.0.0.0 0", "10.0.0.2-10.0.0.3 0"],
  },
  {
    name: "a later deny does not",
    rules:
      "      - { id: y, type: ip_cidr, action: allow, destinations: [10.0.0.0/30] }\n      - { id: x, type: ip_cidr, action: deny, destinations: [10.0.0.1] }\n",
    routes: ["10.0.0.0-10.0.0.3 0"],
  },
  {
    name: "protocols, ascending, and every protocol where one rule allows all",
    rules:
      "      - { id: x, type: ip_cidr, action: allow, destinations: [10.0.0.0/30], ports: [udp/53, tcp/443] }\n      - { id: y, type: ip_cidr, action: allow, destinations: [10.0.0.2] }\n",
    routes: [
      "10.0.0.2-10.0.0.2 0",
      "10.0.0.0-10.0.0.1 6",
      "10.0.0.3-10.0.0.3 6",
      "10.0.0.0-10.0.0.1 17",
      "10.0.0.3-10.0.0.3 17",
    ],
  },
  {
    name: "a deny of some ports leaves the address",
    rules:
      '      - { id: x, type: default, action: deny, ports: [tcp/22] }\n      - { id: y, type: ip_cidr, action: allow, destinations: ["2001:db8::1"] }\n',
    routes: ["2001:db8::1-2001:db8::1 0"],
  },
];

for (const { name, rules, defaultAction, routes } of CASES) {
  test(name, () => {
    assert.deepEqual(routesOf(rules, defaultAction), routes);
  });
}

test("routes hold every flow that is allowed, and are ordered as RFC 9484 wants", () => {
  fc.assert(
    fc.property(policy, fc.array(question, { minLength: 1, maxLength: 50 }), (document, questions) => {
      const compiled = compilePolicy(document);
      for (const [name, flow, at] of questions) {
        const client = compiled.client(name)!;
        const routes = new ClientRoutes(document, at).of(name);
        for (const [index, route] of routes.entries()) if (index > 0) assert.ok(isOrdered(routes[index - 1]!, route));
        if (client.judge(flow, at).action === "allow") assert.ok(routes.some((route) => holds(route, flow)));
      }
    }),
    { numRuns: 200 },
  );
});

/** RFC 9484 section 4.7.3. */
function isOrdered(before: Route, after: Route): boolean {
  if (before.version !== after.version) return before.version < after.version;
  if (before.ipProtocol !== after.ipProtocol) return before.ipProtocol < after.ipProtocol;
  return number(before.end) < number(after.start);
}

function holds(route: Route, flow: FlowTarget): boolean {
  const address = number([flow.dst0, flow.dst1, flow.dst2, flow.dst3]);
  return (
    route.version === flow.version &&
    (route.ipProtocol === 0 || route.ipProtocol === flow.protocol) &&
    number(route.start) <= address &&
    address <= number(route.end)
  );
}

function number(words: readonly number[]): bigint {
  return words.reduce((sum, word) => (sum << 32n) | BigInt(word), 0n);
}
