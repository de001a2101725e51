/** The tables of operations.md are complete: every error code, every metric. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FAMILIES } from "../relay/counters.ts";
import { ERROR_CODES } from "../shared/errors.ts";

const page = readFileSync(new URL("operations.md", import.meta.url), "utf8");

test("every error code has its row, and no row is of a code that is gone", () => {
  const rows = [...page.matchAll(/^\| `(ZG_[A-Z0-9_]+)`/gm)].map(([, code]) => code);
  assert.deepEqual(rows.toSorted(), Object.keys(ERROR_CODES).toSorted());
});

test("every family of counters is in the table of metrics, with its label", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `zgate_"));
  for (const { metric, label } of Object.values(FAMILIES)) {
    assert.ok(
      rows.some((row) => row.includes(`\`${metric}\``) && row.includes(`\`${label}\``)),
      metric,
    );
  }
});
