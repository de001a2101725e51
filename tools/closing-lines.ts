/**
 * Reads the closing lines of the test runners, so that `make test` can sum real results and not the exit
 * codes of stages.
 *
 *   node --test   `ℹ pass 12`, `ℹ fail 0`, `ℹ skipped 1` (or `# pass 12` in TAP)
 *   cargo test    `test result: ok. 12 passed; 0 failed; 1 ignored; …`
 *   any other     `12 passed, 0 failed` and `12 passed, 0 failed, 1 skipped` alone on a line
 */

/** Counted tests. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NO_TESTS: Tally = { passed: 0, failed: 0, skipped: 0 };

export function addTallies(a: Tally, b: Tally): Tally {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** "12 passed, 0 failed" with ", 1 skipped" when some were. */
export function describeTally({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`;
}

const NODE_LINE = /^[ℹ#] (pass|fail|cancelled|skipped|todo) (\d+)$/;
const CARGO_LINE = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;/;
const PLAIN_LINE = /^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

/** The sum of all closing lines in the output of one stage; colour codes are ignored. */
export function tallyOf(output: string): Tally {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const line of stripColour(output).split("\n")) {
    const node = NODE_LINE.exec(line);
    if (node !== null) {
      const count = Number(node[2]);
      if (node[1] === "pass") passed += count;
      else if (node[1] === "fail" || node[1] === "cancelled") failed += count;
      else skipped += count;
      continue;
    }
    const counted = CARGO_LINE.exec(line) ?? PLAIN_LINE.exec(line);
    if (counted !== null) {
      passed += Number(counted[1]);
      failed += Number(counted[2]);
      skipped += Number(counted[3] ?? 0);
    }
  }
  return { passed, failed, skipped };
}

function stripColour(text: string): string {
  // oxlint-disable-next-line no-control-regex -- ESC starts an ANSI colour sequence (ECMA-48 section 8.3.117)
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}
