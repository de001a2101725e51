import assert from "node:assert/strict";
import { it } from "node:test";

import { cpuSeconds } from "./cpu.ts";

it("counts the CPU time of a process as the process itself does", () => {
  const end = performance.now() + 200;
  while (performance.now() < end);
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1e6;
  assert.ok(Math.abs(cpuSeconds([process]) - own) < 0.1);
  assert.ok(Math.abs(cpuSeconds([process, process]) - 2 * own) < 0.2);
  assert.equal(cpuSeconds([]), 0);
});
