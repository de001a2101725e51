import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { policySchemaFile } from "./policy-schema.ts";

test("docs/policy.schema.json is what the schema says", async () => {
  const current = await readFile(new URL("../docs/policy.schema.json", import.meta.url), "utf8");
  assert.equal(current, policySchemaFile(), "run node tools/policy-schema.ts");
});

test("every key of the outermost level is there, and no other is allowed", () => {
  const schema = JSON.parse(policySchemaFile()) as { properties: object; additionalProperties: unknown };
  const keys = ["version", "default_action", "metadata", "include", "destinations", "groups", "clients", "tests"];
  assert.deepEqual(Object.keys(schema.properties), keys);
  assert.equal(schema.additionalProperties, false);
});
