/** How long an agent waits before it tries again: exponential, with full jitter, between two bounds. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #attempt = 0;

  /** `random` gives numbers in [0, 1), as `Math.random` does. */
  constructor(minMs: number, maxMs: number, random: () => number = Math.random) {
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** The next wait in milliseconds: `minMs` plus a random part of a ceiling that doubles up to `maxMs`. */
  next(): number {
    const ceiling = Math.min(this.#maxMs, this.#minMs * 2 ** this.#attempt);
    if (ceiling < this.#maxMs) this.#attempt++;
    return Math.round(this.#minMs + this.#random() * (ceiling - this.#minMs));
  }

  /** A session came up: start from the shortest wait again. */
  reset(): void {
    this.#attempt = 0;
  }

  /** The peer asked for patience: wait as long as the bounds allow. */
  longest(): number {
    return Math.round(this.#maxMs * (0.5 + this.#random() / 2));
  }
}
