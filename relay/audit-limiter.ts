/**
 * Decides which of many alike records are written, and counts the others (pure: time is an argument).
 *
 *   key ─▶ token bucket: a burst, then a rate ─▶ written
 *                                            └▶ counted; `take` gives the counts
 *
 * Keys are bounded: when too many are limited at once, further ones share one bucket.
 */
import type { UnixMs } from "../shared/units.ts";

export interface LimiterOptions {
  /** Records of one key at once. */
  readonly burst: number;
  /** Records of one key a second. */
  readonly rate: number;
  /** Keys with a bucket of their own. */
  readonly maxKeys: number;
}

export interface Suppressed {
  /** Undefined: of the keys that shared a bucket. */
  readonly key: string | undefined;
  readonly count: number;
  readonly from: UnixMs;
  readonly to: UnixMs;
}

interface Bucket {
  tokens: number;
  /** When `tokens` was right. */
  at: UnixMs;
  suppressed: { count: number; from: UnixMs; to: UnixMs } | undefined;
}

export class RecordLimiter {
  readonly #options: LimiterOptions;
  readonly #buckets = new Map<string | undefined, Bucket>();

  constructor(options: LimiterOptions) {
    this.#options = options;
  }

  /** Keys that have a bucket. */
  get size(): number {
    return this.#buckets.size;
  }

  /** Write this record? False: it was counted instead. */
  admit(key: string, now: UnixMs): boolean {
    const bucket = this.#bucketOf(key, now);
    this.#refill(bucket, now);
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return true;
    }
    if (bucket.suppressed === undefined) bucket.suppressed = { count: 1, from: now, to: now };
    else {
      bucket.suppressed.count++;
      bucket.suppressed.to = now;
    }
    return false;
  }

  /** The counts since the last call; forgets the keys that were quiet. */
  take(now: UnixMs): Suppressed[] {
    const counts: Suppressed[] = [];
    for (const [key, bucket] of this.#buckets) {
      if (bucket.suppressed !== undefined) counts.push({ key, ...bucket.suppressed });
      bucket.suppressed = undefined;
      this.#refill(bucket, now);
      if (bucket.tokens === this.#options.burst) this.#buckets.delete(key);
    }
    return counts;
  }

  #bucketOf(key: string, now: UnixMs): Bucket {
    const own = this.#buckets.get(key);
    if (own !== undefined) return own;
    const full = this.#buckets.size >= this.#options.maxKeys;
    const shared = full ? this.#buckets.get(undefined) : undefined;
    if (shared !== undefined) return shared;
    const bucket: Bucket = { tokens: this.#options.burst, at: now, suppressed: undefined };
    this.#buckets.set(full ? undefined : key, bucket);
    return bucket;
  }

  #refill(bucket: Bucket, now: UnixMs): void {
    // A clock that was set back must not take tokens away, nor stop the refill for good.
    const elapsed = Math.max(0, now - bucket.at);
    bucket.tokens = Math.min(this.#options.burst, bucket.tokens + (elapsed * this.#options.rate) / 1000);
    bucket.at = now;
  }
}
