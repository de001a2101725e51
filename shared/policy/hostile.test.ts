/**
 * Files made to cost much: each kind in two sizes. What takes four times as long for twice the size would hang a
 * relay at the size that is let in; all of these are about linear, or refused at once.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compilePolicy } from "./compile.ts";
import { parsePolicy } from "./parse.ts";
import { PolicyError } from "./problem.ts";

const HEAD = 'version: "1.0"\n';
const RULES = `${HEAD}clients:\n  a:\n    rules:\n`;

function many(count: number, text: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => text(index)).join("");
}

const KINDS: readonly { name: string; file: (count: number) => string; message: RegExp | undefined }[] = [
  {
    name: "unknown keys at the top",
    file: (count) => `${HEAD}clients: {}\n${many(count, (i) => `k${i}: 1\n`)}`,
    message: /unknown key "k0"/,
  },
  {
    name: "unknown keys in a rule",
    file: (count) => `${RULES}      - { ${many(count, (i) => `k${i}: 1, `)} }\n`,
    message: /unknown key "k0"/,
  },
  {
    name: "rules without a type",
    file: (count) => `${RULES}${many(count, (i) => `      - { id: r${i}, action: deny }\n`)}`,
    message: /"type" is missing/,
  },
  {
    name: "destinations that are none",
    file: (count) =>
      `${RULES}      - { id: x, type: ip_cidr, action: deny, destinations: [${many(count, () => "1.2.3.999, ")}] }\n`,
    message: /is not an IP address/,
  },
  {
    name: "ports that are none",
    file: (count) =>
      `${RULES}      - { id: x, type: default, action: deny, ports: [${many(count, (i) => `tpc/${i}, `)}] }\n`,
    message: /did you mean "tcp\/0"/,
  },
  {
    name: "members who are none",
    file: (count) =>
      `${HEAD}groups:\n  g: { members: [${many(count, (i) => `m${i}, `)}] }\nclients:\n${many(count, (i) => `  c${i}:\n`)}`,
    message: /is not a client/,
  },
  {
    name: "names that are not defined",
    file: (count) => `${HEAD}destinations:\n${many(count, (i) => `  d${i}: [e${i}]\n`)}clients: {}\n`,
    message: /"e0" is not defined/,
  },
  {
    name: "names for names for names",
    file: (count) => `${HEAD}destinations:\n${many(count, (i) => `  d${i}: [d${i + 1}]\n`)}clients: {}\n`,
    message: /nested more than 16 deep/,
  },
  {
    name: "groups of one client",
    file: (count) =>
      `${HEAD}groups:\n${many(count, (i) => `  g${i}: { members: [a], rules: [{ id: r${i}, type: default, action: deny }] }\n`)}clients: { a: }\n`,
    message: /client "a" is in more than 64 groups/,
  },
  {
    name: "time zones that are none",
    file: (count) =>
      `${RULES}${many(count, (i) => `      - { id: r${i}, type: default, action: deny, schedule: { timezone: X${i} } }\n`)}`,
    message: /is not a time zone/,
  },
  {
    name: "schedules",
    file: (count) =>
      `${RULES}${many(count, (i) => `      - { id: r${i}, type: default, action: deny, schedule: { hours: "${time(i)}-24:00", timezone: UTC }, not_before: ${2_000 + Math.floor(i / 1_440)}-01-01T00:00:00Z }\n`)}`,
    message: /more than 1000 different schedules/,
  },
  {
    name: "days",
    file: (count) =>
      `${RULES}      - { id: x, type: default, action: deny, schedule: { days: [${many(count, () => "mno, ")}], timezone: UTC } }\n`,
    message: /expected at most 32 entries/,
  },
  {
    name: "tests of nobody",
    file: (count) =>
      `${HEAD}clients: { a: }\ntests:\n${many(count, (i) => `  - { client: b${i}, dst: 1.2.3.4, proto: icmp, expect: deny }\n`)}`,
    message: /who is not a client/,
  },
  {
    name: "prefixes in prefixes",
    file: (count) =>
      `${RULES}${many(count, (i) => `      - { id: r${i}, type: ip_cidr, action: deny, destinations: [10.0.0.0/${8 + (i % 25)}], ports: [tcp/${i % 65_536}] }\n`)}`,
    message: undefined,
  },
  {
    name: "ports of one prefix",
    file: (count) =>
      `${RULES}${many(count, (i) => `      - { id: r${i}, type: default, action: allow, ports: [tcp/${i % 60_000}-${(i % 60_000) + 5_000}] }\n`)}`,
    message: undefined,
  },
];

function time(minute: number): string {
  return `${String(Math.floor(minute / 60) % 24).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

const FEW = 4_000;
const MANY = 16_000;
/** Milliseconds that four times as much may take: linear growth, and what a busy machine adds. */
const allowance = (few: number): number => 2_000 + 8 * few;

for (const { name, file, message } of KINDS) {
  test(`many ${name}`, () => {
    const few = cost(file(FEW), message);
    const more = cost(file(MANY), message);
    assert.ok(more < allowance(few), `${FEW} took ${few} ms, ${MANY} took ${more} ms`);
  });
}

/** Processor milliseconds of reading and compiling. */
function cost(text: string, message: RegExp | undefined): number {
  const before = process.cpuUsage();
  let refusal: unknown;
  try {
    compilePolicy(parsePolicy(text));
  } catch (error) {
    refusal = error;
  }
  const { user } = process.cpuUsage(before);
  if (message === undefined) assert.equal(refusal, undefined);
  else {
    assert.ok(refusal instanceof PolicyError, String(refusal));
    assert.match(refusal.message, message);
    assert.ok(refusal.problems.length <= 100);
  }
  return user / 1_000;
}
