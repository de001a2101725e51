import assert from "node:assert/strict";
import { test } from "node:test";
import { unixMs } from "../units.ts";
import { summariseChange } from "./change-summary.ts";
import { parsePolicy } from "./parse.ts";

const HEAD = 'version: "1.0"\n';

function summary(before: string, after: string): string[] {
  return summariseChange(parsePolicy(HEAD + before), parsePolicy(HEAD + after), unixMs(0));
}

function rules(count: number, port: number): string {
  const list = Array.from(
    { length: count },
    (_, index) =>
      `{ id: r${index}, type: ip_cidr, action: allow, destinations: [10.0.${index >> 8}.${index & 255}], ports: [tcp/${port + index}] }`,
  );
  return `clients:\n  a: { rules: [${list.join(", ")}] }\n`;
}

test("clients with the same changes share a line", () => {
  const group = (port: number): string =>
    `groups:\n  g: { members: [a, b], rules: [{ id: w, type: ip_cidr, action: allow, destinations: [10.0.0.0/8], ports: [tcp/${port}] }] }\nclients:\n  a:\n  b:\n`;
  assert.deepEqual(summary(group(80), `${group(443)}  c:\n`), [
    "a, b: + 10.0.0.0/8  tcp/443",
    "a, b: - 10.0.0.0/8  tcp/80",
    "c: ! newly admitted",
  ]);
});

test("names and lines are bounded", () => {
  const names = Array.from({ length: 20 }, (_, index) => `  c${index}:`).join("\n");
  assert.deepEqual(summary("clients: {}\n", `clients:\n${names}\n`), [
    "c0, c1, c2, c3, c4, c5, c6, c7 and 12 more clients: ! newly admitted",
  ]);
  const lines = summary(rules(40, 1), rules(40, 1000));
  assert.equal(lines.length, 51);
  assert.equal(lines.at(-1), "and 30 more changes");
});

test("large policies are not compared in passing", () => {
  assert.deepEqual(summary(rules(2_001, 1), rules(2_000, 1)), [
    "too many rules to compare in passing: see zgate policy diff",
  ]);
});
