import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readLines } from "../relay/audit-lines.ts";
import { auditRecord, closeRecord, parseAuditLine } from "../relay/audit-record.ts";
import { ChainVerifier } from "../relay/audit-verify.ts";
import * as limits from "../relay/constants.ts";

const page = readFileSync(new URL("audit.md", import.meta.url), "utf8");
const example = new URL("examples/audit.jsonl", import.meta.url).pathname;

/** The fields in the table below a heading, those that may be absent with a question mark. */
function documented(heading: string): string[] {
  const section = page.split(`\n${heading}\n`)[1]?.split("\n##")[0] ?? "";
  return [...section.matchAll(/^\| `(\w+)`( \?)? \|/gm)].map(([, name, optional]) => `${name}${optional ?? ""}`);
}

test("the page describes every field of every type, in the order of the schema", () => {
  const envelope = Object.keys(closeRecord.shape);
  assert.deepEqual(documented("## Every record"), envelope);
  for (const { shape } of auditRecord.options) {
    const fields = Object.entries(shape)
      .filter(([name]) => !envelope.includes(name))
      .map(([name, schema]) => (schema.safeParse(undefined).success ? `${name} ?` : name));
    assert.deepEqual(documented(`### \`${shape.type.value}\``), fields, shape.type.value);
  }
});

test("the example has every type of record, and its chain is whole", async () => {
  const types = new Set<string>();
  const verifier = new ChainVerifier();
  for await (const line of readLines(example)) {
    const parsed = parseAuditLine(line.bytes.toString());
    assert.ok(parsed.ok, `${line.number}: ${parsed.ok ? "" : parsed.problem}`);
    types.add(parsed.record.type);
    verifier.add(line);
  }
  assert.deepEqual(verifier.report().problems, []);
  assert.deepEqual([...types].sort(), auditRecord.options.map(({ shape }) => shape.type.value).sort());
});

test("the page gives the limits that are in force", () => {
  const text = page.replaceAll("\n", " ");
  for (const sentence of [
    `A string is cut to ${limits.AUDIT_TEXT_LENGTH} UTF-16 units and a list to ${limits.AUDIT_LIST_LENGTH} entries`,
    `No line is longer than ${limits.AUDIT_LINE_BYTES / 1024} KiB`,
    `wait in memory, up to ${limits.AUDIT_QUEUE_BYTES / 1024 / 1024} MiB`,
    `tried again every ${limits.AUDIT_RETRY_MS} ms`,
    `longer than ${limits.AUDIT_STALL_MS / 1000} s counts as failing`,
    `${limits.AUDIT_BURST} at once, then ${limits.AUDIT_RATE} a second`,
    `within ${limits.AUDIT_SUMMARY_MS / 1000} s`,
    `over ${limits.AUDIT_FILE_BYTES / 1024 / 1024} MiB`,
    `The ${limits.AUDIT_FILES_KEPT} newest rotated files are kept`,
  ]) {
    assert.ok(text.includes(sentence), sentence);
  }
});
