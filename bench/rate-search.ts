/** The highest packet rate that a path carries with little loss, by bisection in a fixed number of steps. Pure. */

export interface RateTrial {
  /** Packets a second that arrived. */
  readonly packetsPerSecond: number;
  /** The part that did not, 0 to 1. */
  readonly loss: number;
}

/**
 * Tries `steps` rates between `low` and `high` (packets a second), halving the interval on a logarithmic
 * scale, and returns the highest rate that arrived at a loss below `lossLimit`; 0 when none did. A rate has
 * two attempts, so that a hiccup of the machine does not count against it.
 */
export async function searchRate(
  range: { readonly low: number; readonly high: number },
  steps: number,
  lossLimit: number,
  attempt: (packetsPerSecond: number) => Promise<RateTrial>,
): Promise<number> {
  let { low, high } = range;
  let best = 0;
  for (let step = 0; step < steps; step++) {
    const rate = Math.sqrt(low * high);
    const first = await attempt(rate);
    const trial = first.loss < lossLimit ? first : await attempt(rate);
    if (trial.loss < lossLimit) {
      best = Math.max(best, trial.packetsPerSecond);
      low = rate;
    } else {
      high = rate;
    }
  }
  return best;
}
