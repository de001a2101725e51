/** Writes docs/policy.schema.json, for editors, from the schema that policies are checked against. */
import { writeFile } from "node:fs/promises";
import * as z from "zod";
import { policySchema } from "../shared/policy/schema.ts";

const OUTPUT = new URL("../docs/policy.schema.json", import.meta.url);

/** The whole file. What the schema cannot say (names that are defined, ids that are unique) only zgate checks. */
export function policySchemaFile(): string {
  const { $schema, ...schema } = z.toJSONSchema(policySchema, { io: "input" });
  const title = "zgate policy";
  return `${JSON.stringify({ $schema, title, ...schema }, undefined, 2)}\n`;
}

if (import.meta.main) await writeFile(OUTPUT, policySchemaFile());
