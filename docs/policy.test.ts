/** The policies and commands on docs/policy.md do what the page says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compilePolicy } from "../shared/policy/compile.ts";
import {
  MAX_GROUPS_OF_CLIENT,
  MAX_INCLUDE_DEPTH,
  MAX_NAME_DEPTH,
  MAX_POLICY_BYTES,
  MAX_POLICY_FILES,
  MAX_RULE_DESTINATIONS,
  MAX_SCHEDULES,
  MAX_WINDOW_PARTS,
} from "../shared/policy/constants.ts";
import { parsePolicy } from "../shared/policy/parse.ts";
import { runTests } from "../shared/policy/policy-tests.ts";
import { clientSchema, fileSchema, groupSchema, ruleSchema, testSchema } from "../shared/policy/schema.ts";
import { unixMs } from "../shared/units.ts";
import { MAX_YAML_DEPTH, MAX_YAML_NODES } from "../shared/yaml/constants.ts";

const ROOT = join(import.meta.dirname, "..");
const PAGE = readFileSync(join(ROOT, "docs/policy.md"), "utf8");

function blocks(language: string): string[] {
  return [...PAGE.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map((match) => match[1] ?? "");
}

for (const text of blocks("yaml")) {
  const heading = PAGE.slice(0, PAGE.indexOf(text))
    .match(/^##+ (.*)$/gm)
    ?.at(-1);
  test(`the policy under "${heading}" loads, and its tests pass`, () => {
    const document = parsePolicy(text, "docs/policy.md");
    const results = runTests(document, compilePolicy(document), unixMs(0));
    assert.ok(results.length > 0);
    for (const { passed, test, verdict } of results) assert.ok(passed, JSON.stringify({ test: test.name, verdict }));
  });
}

for (const text of blocks("console")) {
  const [command = "", ...output] = text.split("\n");
  test(command, () => {
    const [, program, ...args] = command.split(" ");
    assert.equal(program, "zgate");
    const env = { ...process.env, NO_COLOR: "1" };
    const run = spawnSync(process.execPath, ["cli/main.ts", ...args], { cwd: ROOT, env, encoding: "utf8" });
    assert.equal(run.stdout, output.join("\n"));
  });
}

test("the page names every key", () => {
  const schemas = [fileSchema, clientSchema, groupSchema, ruleSchema, testSchema];
  for (const key of schemas.flatMap((schema) => Object.keys(schema.shape))) assert.ok(PAGE.includes(`\`${key}\``), key);
});

test("the page names the limits", () => {
  const count = (value: number): string => value.toLocaleString("en");
  for (const limit of [
    `${MAX_POLICY_BYTES / 1024 / 1024} MiB`,
    `${MAX_POLICY_FILES}, nested ${MAX_INCLUDE_DEPTH} deep`,
    count(MAX_YAML_NODES),
    count(MAX_RULE_DESTINATIONS),
    `nesting of YAML | ${MAX_YAML_DEPTH}`,
    `stand for names | ${MAX_NAME_DEPTH} deep`,
    `groups of one client | ${MAX_GROUPS_OF_CLIENT}`,
    `different schedules | ${count(MAX_SCHEDULES)}`,
    `in one schedule | ${MAX_WINDOW_PARTS}`,
  ]) {
    assert.ok(PAGE.includes(limit), limit);
  }
});
