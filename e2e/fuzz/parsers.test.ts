/**
 * The corpus of every parser, as it is and changed: bytes overwritten, taken out, doubled, cut off. An input that
 * ever made a parser fail belongs into the corpus. `make fuzz` repeats this with fresh changes.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../../shared/errors.ts";
import { PARSERS } from "./parsers.ts";
import type { Parser } from "./parsers.ts";

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

function corpusOf(name: string): Uint8Array[] {
  return readFileSync(new URL(`corpus/${name}.hex`, import.meta.url), "utf8")
    .split("\n")
    .map((line) => line.replace(/#.*/, "").replaceAll(/\s/g, ""))
    .filter((line) => line !== "")
    .map((line) => Uint8Array.from(Buffer.from(line, "hex")));
}

function bear(parser: Parser, bytes: Uint8Array): void {
  try {
    parser.parse(bytes);
  } catch (error) {
    assert.ok(error instanceof ZgateError, `${parser.name}, ${Buffer.from(bytes).toString("hex")}: ${String(error)}`);
  }
}

describe("parsers bear their corpus and what becomes of it", () => {
  for (const parser of PARSERS) {
    test(parser.name, () => {
      const corpus = corpusOf(parser.name);
      assert.ok(corpus.length > 0);
      for (const input of corpus) bear(parser, input);
      fc.assert(
        fc.property(fc.constantFrom(...corpus), fc.array(change, { minLength: 1, maxLength: 8 }), (input, changes) =>
          bear(parser, changes.reduce(changed, input)),
        ),
        { numRuns: RUNS },
      );
    });
  }
});
