import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { EARLY_COMPILATION } from "./early-compilation.ts";

test("V8 knows each flag: it would only warn of one that it does not", () => {
  const { status, stderr } = spawnSync(process.execPath, [...EARLY_COMPILATION, "--eval", ""], { encoding: "utf8" });
  assert.equal(stderr, "");
  assert.equal(status, 0);
});
