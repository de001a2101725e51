/** A client's `rate_limit`: packets over it are dropped, which is the signal that TCP inside adapts to. */
import type { Limits } from "../shared/policy/document.ts";
import { RATE_BURST_BYTES, RATE_BURST_MS } from "./constants.ts";
import { TokenBucket } from "./token-bucket.ts";

const BITS = 8;

export class RateLimit {
  #up: TokenBucket | undefined;
  #down: TokenBucket | undefined;

  constructor(limits: Limits) {
    this.follow(limits);
  }

  /** Takes over other limits; what did not change keeps its state. */
  follow(limits: Limits): void {
    this.#up = bucketFor(limits.upBitsPerSecond, this.#up);
    this.#down = bucketFor(limits.downBitsPerSecond, this.#down);
  }

  /** Whether a packet of so many bytes may come from the client now. */
  admitUp(bytes: number, nowMs: number): boolean {
    return this.#up === undefined || this.#up.take(bytes, nowMs);
  }

  /** Whether it may go to the client now. */
  admitDown(bytes: number, nowMs: number): boolean {
    return this.#down === undefined || this.#down.take(bytes, nowMs);
  }

  /** Another one with these limits would admit no more. */
  isFull(nowMs: number): boolean {
    return this.#up?.isFull(nowMs) !== false && this.#down?.isFull(nowMs) !== false;
  }
}

function bucketFor(bitsPerSecond: number | undefined, before: TokenBucket | undefined): TokenBucket | undefined {
  if (bitsPerSecond === undefined) return undefined;
  const rate = bitsPerSecond / BITS;
  if (before?.rate === rate) return before;
  return new TokenBucket(rate, Math.max(RATE_BURST_BYTES, (rate * RATE_BURST_MS) / 1000));
}
