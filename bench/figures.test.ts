import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Bar } from "./bars.ts";
import { figuresOf } from "./figures.ts";
import type { Sample } from "./scenario.ts";

const bar = (peer: string | undefined, relation: Bar["relation"], value: number): Bar => ({
  scenario: "s",
  metric: peer === undefined ? "sessionMemory" : "throughput",
  peer,
  relation,
  value,
});
const throughput = (...values: number[]): Sample[] => values.map((value) => ({ throughput: value }));

describe("figures", () => {
  it("compares medians with each peer and judges each bar", () => {
    const samples = new Map([
      ["zgate", throughput(300, 100, 200)],
      ["a", throughput(100, 100, 100)],
      ["b", throughput(400)],
    ]);
    const bars = [bar("a", ">=", 1), bar("a", ">=", 2.5), bar("c", ">=", 1), bar("b", "<=", 0.5)];
    const lines = figuresOf("s", samples, bars).map(({ peer, ours, theirs, ratio, bar: text, holds }) => {
      return [peer, ours, theirs, ratio, text, holds];
    });
    assert.deepEqual(lines, [
      ["a", 200, 100, 2, ">= 1", true],
      ["a", 200, 100, 2, ">= 2.5", false],
      ["b", 200, 400, 0.5, "<= 0.5", true],
    ]);
  });

  it("gives ranges and units", () => {
    const [line] = figuresOf(
      "s",
      new Map([
        ["zgate", throughput(3, 1, 2)],
        ["a", throughput(5, 4)],
      ]),
      [],
    );
    assert.deepEqual([line?.oursRange, line?.theirsRange, line?.unit, line?.bar], [[1, 3], [4, 5], "Mbit/s", null]);
  });

  it("shows a peer when ours was not measured, and judges nothing", () => {
    const [line] = figuresOf("s", new Map([["a", throughput(5)]]), [bar("a", ">=", 1)]);
    assert.deepEqual([line?.ours, line?.theirs, line?.ratio, line?.holds], [null, 5, null, null]);
  });

  it("judges a value of ours alone", () => {
    const [line] = figuresOf("s", new Map([["zgate", [{ sessionMemory: 70_000 }]]]), [bar(undefined, "<", 65_536)]);
    assert.deepEqual([line?.peer, line?.ours, line?.bar, line?.holds], [null, 70_000, "< 65536", false]);
  });

  it("has no line for what nobody measured", () => {
    assert.deepEqual(
      figuresOf(
        "s",
        new Map([
          ["a", []],
          ["zgate", []],
        ]),
        [bar("a", ">=", 1)],
      ),
      [],
    );
  });
});
