/** The few statistics that a table of noisy timings needs. Pure. */

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Median and range of samples; undefined when there are none. */
export function summarise(samples: readonly number[]): Summary | undefined {
  if (samples.length === 0) return undefined;
  return {
    median: quantile(samples, 0.5),
    min: Math.min(...samples),
    max: Math.max(...samples),
    count: samples.length,
  };
}

/**
 * The quantile `q` (0 to 1) of samples in any order, with linear interpolation between neighbours (type 7 of
 * Hyndman and Fan, 1996). Throws a RangeError when there are no samples.
 */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const low = sorted[Math.floor(position)];
  const high = sorted[Math.ceil(position)];
  if (low === undefined || high === undefined) throw new RangeError("a quantile of no samples");
  return low + (high - low) * (position - Math.floor(position));
}
