import assert from "node:assert/strict";
import { it } from "node:test";

import { renderTable } from "./table.ts";

it("lays figures out under a head, with ranges, ratio and verdict", () => {
  const table = renderTable([
    {
      figure: "throughput",
      scenario: "tcp-up-1",
      peer: "openvpn",
      ours: 1234.5,
      theirs: 99.94,
      oursRange: [1200, 1300],
      theirsRange: [99.94, 99.94],
      unit: "Mbit/s",
      ratio: 12.352,
      bar: ">= 4",
      holds: true,
    },
    {
      figure: "pingP50",
      scenario: "ping-idle",
      peer: null,
      ours: null,
      theirs: 0.2345,
      oursRange: null,
      theirsRange: null,
      unit: "ms",
      ratio: null,
      bar: null,
      holds: null,
    },
  ]);
  assert.equal(
    table,
    [
      "scenario   figure      peer                 ours  theirs  unit    ratio  bar",
      "─────────  ──────────  ───────  ────────────────  ──────  ──────  ─────  ────  ─────",
      "tcp-up-1   throughput  openvpn  1235 (1200–1300)    99.9  Mbit/s  12.35  >= 4  holds",
      "ping-idle  ping p50                                0.234  ms",
      "",
    ].join("\n"),
  );
});
