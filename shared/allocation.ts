/** How much a piece of code allocates on the heap: for the tests that prove "allocates nothing". */
import { getHeapStatistics } from "node:v8";

/** Calls before the measurement, so that the optimising compiler has had its way. */
const WARM_UP = 100_000;
const RUNS = 200_000;

/** Bytes that one call of `run` allocates on average, when it is hot. */
export function allocatedPerRun(run: () => void): number {
  for (let i = 0; i < WARM_UP; i++) run();
  const before = allocatedBytes();
  for (let i = 0; i < RUNS; i++) run();
  return (allocatedBytes() - before) / RUNS;
}

function allocatedBytes(): number {
  return getHeapStatistics().total_allocated_bytes;
}
