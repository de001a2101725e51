/** What is fuzzed: a parser of what a peer or a file says, with what must hold for whatever it takes. */
import assert from "node:assert/strict";
import { ZgateError } from "../../shared/errors.ts";

export interface Parser {
  /** Its inputs are in `corpus/NAME.hex`, one a line, what it is behind a `#`. */
  readonly name: string;
  /**
   * Parses. A `ZgateError` is its refusal; whatever else it throws is a finding, so it asserts its properties: what it
   * took is written and read again to the same, and comes to the same in pieces.
   */
  readonly parse: (bytes: Uint8Array) => void | Promise<void>;
  /** Words of its language, for inputs that change of single bytes would not come to. */
  readonly tokens?: readonly string[];
}

/** Inputs of text are what UTF-8 makes of the bytes, as from a file. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("utf8");
}

/** The same outcome, a value or the refusal's sentence, of two ways that must not differ. */
export function assertSameOutcome(one: () => unknown, other: () => unknown): void {
  assert.deepEqual(outcomeOf(one), outcomeOf(other));
}

function outcomeOf(run: () => unknown): unknown {
  try {
    return { value: run() };
  } catch (error) {
    if (error instanceof ZgateError) return { refusal: error.message };
    throw error;
  }
}

/** Throws what was thrown if it is a finding, with the input. */
export async function bear(parser: Parser, bytes: Uint8Array): Promise<void> {
  try {
    // Most are synchronous, and a promise each would cost more than the parsing.
    const pending = parser.parse(bytes);
    if (pending !== undefined) await pending;
  } catch (error) {
    if (error instanceof ZgateError) return;
    const input = Buffer.from(bytes).toString("hex");
    throw new Error(`${parser.name}, ${input}: ${String(error)}`, { cause: error });
  }
}
