import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { agentOptions } from "../shared/config/agent-options.ts";
import { parseConfigFile } from "../shared/config/config-file.ts";
import { optionRows } from "../shared/config/option.ts";
import { relayOptions } from "../shared/config/relay-options.ts";
import { configurationPage } from "./configuration-docs.ts";

const PAGE = await readFile(new URL("../docs/configuration.md", import.meta.url), "utf8");

test("docs/configuration.md is what the schemas say", () => {
  assert.equal(PAGE, configurationPage(), "run node tools/configuration-docs.ts");
});

test("the example files on the page are right", () => {
  const examples = [...PAGE.matchAll(/```yaml\n([^`]*)```/g)].map((match) => match[1] ?? "");
  const shapes = [relayOptions, agentOptions];
  assert.equal(examples.length, shapes.length);
  for (const [index, shape] of shapes.entries()) {
    const rows = optionRows(shape);
    const { values, problems } = parseConfigFile("example.yaml", examples[index] ?? "", rows);
    assert.deepEqual(problems, []);
    for (const row of rows) {
      const given = values.get(row.name);
      assert.ok(given !== undefined || !row.required, row.name);
      if (given !== undefined) assert.ok(row.schema.safeParse(given.raw).success, row.name);
    }
  }
});
