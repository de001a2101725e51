import assert from "node:assert/strict";
import { test } from "node:test";
import { addTallies, describeTally, NO_TESTS, tallyOf, type Tally } from "./closing-lines.ts";

const CASES: readonly { name: string; output: string; tally: Tally }[] = [
  {
    name: "node --test, spec reporter",
    output: "✔ one (1ms)\nℹ tests 4\nℹ suites 0\nℹ pass 2\nℹ fail 1\nℹ cancelled 0\nℹ skipped 1\nℹ todo 0\n",
    tally: { passed: 2, failed: 1, skipped: 1 },
  },
  {
    name: "node --test, coloured",
    output: "\u001b[34mℹ pass 2\u001b[39m\n\u001b[34mℹ fail 0\u001b[39m\n",
    tally: { passed: 2, failed: 0, skipped: 0 },
  },
  {
    name: "node --test, TAP; a cancelled test has failed",
    output: "# pass 7\n# fail 0\n# cancelled 2\n",
    tally: { passed: 7, failed: 2, skipped: 0 },
  },
  {
    name: "cargo test, two binaries",
    output: [
      "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
      "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
    ].join("\n"),
    tally: { passed: 4, failed: 2, skipped: 1 },
  },
  { name: "the plain line", output: "interop: 9 passed, 0 failed\n", tally: { passed: 9, failed: 0, skipped: 0 } },
  { name: "prose that has such words", output: "we saw 9 passed, 0 failed today\n", tally: NO_TESTS },
];

for (const { name, output, tally } of CASES) {
  test(`tallyOf reads ${name}`, () => {
    assert.deepEqual(tallyOf(output), tally);
  });
}

test("tallies add up and describe themselves", () => {
  const sum = addTallies({ passed: 1, failed: 2, skipped: 0 }, { passed: 3, failed: 0, skipped: 1 });
  assert.equal(describeTally(sum), "4 passed, 2 failed, 1 skipped");
  assert.equal(describeTally(NO_TESTS), "0 passed, 0 failed");
});
