/**
 * One parser under coverage guidance:
 *
 *   corpus ▸ pool ▸ a batch of changed inputs ▸ something new ran? ▸ halves, halves of halves ▸ the inputs that did it
 *             ▲                                                                                        │ shortened
 *             └────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Coverage is asked for once a batch, because that costs as much as hundreds of inputs.
 */
import type { Coverage } from "./coverage.ts";
import { Mutator, Random, shortened } from "./mutator.ts";
import { bear } from "./parser.ts";
import type { Parser } from "./parser.ts";

const BATCH = 128;

/** Longest input, bytes; more where the corpus has more. */
export const MAX_INPUT = 4096;

export interface CampaignParts {
  readonly parser: Parser;
  readonly coverage: Coverage;
  readonly seed: number;
  /** Called with each input before it runs: who watches can say which one never came back. */
  readonly onInput: (input: Uint8Array) => void;
  /** Called with each input that reached what none before did. */
  readonly onKept: (input: Uint8Array) => void;
}

export class Campaign {
  /** Inputs that ran. */
  runs = 0;
  readonly #parts: CampaignParts;
  readonly #random: Random;
  readonly #mutator: Mutator;
  readonly #pool: Uint8Array[];

  constructor(parts: CampaignParts, corpus: readonly Uint8Array[]) {
    this.#parts = parts;
    this.#random = new Random(parts.seed);
    const longest = Math.max(MAX_INPUT, ...corpus.map(({ length }) => length));
    this.#mutator = new Mutator(this.#random, parts.parser.tokens ?? [], longest);
    this.#pool = [new Uint8Array(0), ...corpus];
  }

  /** Runs the corpus, then batches until `done`. Rejects with the finding, its input shortened. */
  async run(done: (runs: number) => boolean): Promise<void> {
    const { coverage } = this.#parts;
    coverage.forget();
    coverage.take();
    for (const input of this.#pool) await this.#run(input);
    coverage.add(coverage.take());
    while (!done(this.runs)) {
      await this.#explore(Array.from({ length: BATCH }, () => this.#changed()));
    }
  }

  /** Newer inputs are nearer to what was not reached yet: half of the choices are among the newest quarter. */
  #changed(): Uint8Array {
    const random = this.#random;
    const pool = this.#pool;
    const newest = random.below(2) === 0 ? (pool.length >>> 2) + 1 : pool.length;
    const input = pool[pool.length - 1 - random.below(newest)]!;
    return this.#mutator.change(input, random.of(pool));
  }

  async #explore(inputs: readonly Uint8Array[]): Promise<void> {
    const { coverage } = this.#parts;
    for (const input of inputs) await this.#run(input);
    const ran = coverage.take();
    if (!coverage.isNew(ran)) return;
    const [only] = inputs;
    if (inputs.length === 1 && only !== undefined) {
      await this.#keep(only);
    } else {
      await this.#explore(inputs.slice(0, inputs.length >>> 1));
      await this.#explore(inputs.slice(inputs.length >>> 1));
    }
    // What ran, and does not run again by itself, is not looked for again.
    coverage.add(ran);
  }

  async #keep(input: Uint8Array): Promise<void> {
    const { coverage, onKept } = this.#parts;
    const kept = await shortened(input, async (shorter) => {
      await this.#run(shorter);
      return coverage.isNew(coverage.take());
    });
    await this.#run(kept);
    coverage.add(coverage.take());
    this.#pool.push(kept);
    onKept(kept);
  }

  async #run(input: Uint8Array): Promise<void> {
    const { parser, onInput } = this.#parts;
    this.runs++;
    onInput(input);
    try {
      await bear(parser, input);
    } catch (error) {
      await bear(parser, await shortened(input, (shorter) => this.#isFinding(shorter)));
      throw error;
    }
  }

  async #isFinding(input: Uint8Array): Promise<boolean> {
    this.#parts.onInput(input);
    return bear(this.#parts.parser, input).then(
      () => false,
      () => true,
    );
  }
}
