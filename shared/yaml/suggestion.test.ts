import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_SUGGESTION_LENGTH } from "./constants.ts";
import { didYouMean, editDistance, nearestName } from "./suggestion.ts";

const KEYS = ["destinations", "default_action", "ports", "pool4", "pool6", "enabled"];

const CASES: readonly [name: string, nearest: string | undefined][] = [
  ["destination", "destinations"],
  ["desitnations", "destinations"],
  ["defaultAction", "default_action"],
  ["default-action", "default_action"],
  ["port", "ports"],
  ["pool5", "pool4"],
  ["enable", "enabled"],
  ["x", undefined],
  ["colour", undefined],
  ["", undefined],
  ["d".repeat(MAX_SUGGESTION_LENGTH + 1), undefined],
];

for (const [name, nearest] of CASES) {
  test(`nearest to ${JSON.stringify(name)}`, () => assert.equal(nearestName(name, KEYS), nearest));
}

test("as a sentence", () => {
  assert.equal(didYouMean("prots", KEYS), 'did you mean "ports"?');
  assert.equal(didYouMean("colour", KEYS), undefined);
});

test("edit distance", () => {
  const distances: readonly [string, string, number][] = [
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "abc", 0],
    ["abc", "acb", 1],
    ["kitten", "sitting", 3],
  ];
  for (const [a, b, distance] of distances) {
    assert.equal(editDistance(a, b), distance);
    assert.equal(editDistance(b, a), distance);
  }
});
