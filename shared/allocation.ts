/** How much a piece of code allocates on the heap: for the tests that prove "allocates nothing". */
import { getHeapStatistics } from "node:v8";

const ROUNDS = 5;
const RUNS = 500_000;

/**
 * Bytes that one call of `run` allocates on average, when it is hot: the least of several rounds, as the
 * optimising compiler allocates too while it has not yet had its way.
 */
export function allocatedPerRun(run: () => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const before = getHeapStatistics().total_allocated_bytes;
    for (let i = 0; i < RUNS; i++) run();
    least = Math.min(least, (getHeapStatistics().total_allocated_bytes - before) / RUNS);
  }
  return least;
}
