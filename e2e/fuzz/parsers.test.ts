/**
 * The corpus of every parser, as it is and changed: bytes overwritten, taken out, doubled, cut off. An input that
 * ever made a parser fail belongs into the corpus. `make fuzz` repeats this with fresh changes.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CORPUS, readInputs } from "./corpus.ts";
import { bear } from "./parser.ts";
import { PARSERS } from "./parsers.ts";

/** Changed inputs a parser and run. */
const RUNS = 500;

/** One change, at a place that is a share of the input's length. */
interface Change {
  readonly kind: "set" | "drop" | "double" | "cut";
  readonly place: number;
  readonly length: number;
  readonly byte: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom("set", "set", "drop", "double", "cut"),
  place: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  length: fc.integer({ min: 1, max: 16 }),
  byte: fc.oneof(fc.constantFrom(0, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff), fc.nat(255)),
});

function changed(input: Uint8Array, { kind, place, length, byte }: Change): Uint8Array {
  const at = Math.floor(place * input.length);
  const [head, middle, tail] = [input.subarray(0, at), input.subarray(at, at + length), input.subarray(at + length)];
  switch (kind) {
    case "set":
      return input.map((old, index) => (index === at ? byte : old));
    case "drop":
      return Buffer.concat([head, tail]);
    case "double":
      return Buffer.concat([head, middle, middle, tail]);
    case "cut":
      return head;
    default:
      return kind satisfies never;
  }
}

test("every file of the corpus is a parser's, and every parser has one", () => {
  const names = readdirSync(CORPUS).map((file) => basename(file, ".hex"));
  assert.deepEqual(names.toSorted(), PARSERS.map(({ name }) => name).toSorted());
});

describe("parsers bear their corpus and what becomes of it", () => {
  for (const parser of PARSERS) {
    test(parser.name, async () => {
      const corpus = readInputs(CORPUS, parser.name);
      assert.ok(corpus.length > 0);
      for (const input of corpus) await bear(parser, input);
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...corpus),
          fc.array(change, { minLength: 1, maxLength: 8 }),
          (input, changes) => bear(parser, changes.reduce(changed, input)),
        ),
        { numRuns: RUNS },
      );
    });
  }
});
