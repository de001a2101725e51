import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientBudgets } from "./client-budgets.ts";
import { FLOWS_BURST, FLOWS_PER_SECOND, RATE_BURST_BYTES } from "./constants.ts";

const UNLIMITED = { maxSessions: undefined, upBitsPerSecond: undefined, downBitsPerSecond: undefined };
/** At which RATE_BURST_BYTES take eight seconds. */
const SLOW = { ...UNLIMITED, upBitsPerSecond: RATE_BURST_BYTES };
const REFILL_MS = (FLOWS_BURST / FLOWS_PER_SECOND) * 1000;

test("the sessions of a client share one budget, other clients have theirs", () => {
  const budgets = new ClientBudgets();
  const one = budgets.of("a", UNLIMITED);
  assert.equal(budgets.of("a", UNLIMITED), one);
  assert.notEqual(budgets.of("b", UNLIMITED), one);
  assert.ok(one.newFlows.take(FLOWS_BURST, 0));
  assert.ok(!budgets.of("a", UNLIMITED).newFlows.take(1, 0));
  assert.ok(budgets.of("b", UNLIMITED).newFlows.take(1, 0));
});

test("a budget is kept while it is used, and until a new one would allow no more", () => {
  const cases: readonly { spend: "flows" | "bytes"; keptMs: number }[] = [
    { spend: "flows", keptMs: REFILL_MS },
    { spend: "bytes", keptMs: 8_000 },
  ];
  for (const { spend, keptMs } of cases) {
    const budgets = new ClientBudgets();
    const budget = budgets.of("a", SLOW);
    if (spend === "flows") assert.ok(budget.newFlows.take(FLOWS_BURST, 0));
    else assert.ok(budget.rate.admitUp(RATE_BURST_BYTES, 0));
    budgets.forget(keptMs - 1, () => false);
    assert.equal(budgets.of("a", SLOW), budget, spend);
    budgets.forget(keptMs, () => true);
    assert.equal(budgets.of("a", SLOW), budget, spend);
    budgets.forget(keptMs, () => false);
    assert.equal(budgets.size, 0, spend);
  }
});

test("a client that comes again has the limits that the policy has by then", () => {
  const budgets = new ClientBudgets();
  assert.ok(budgets.of("a", SLOW).rate.admitUp(RATE_BURST_BYTES, 0));
  assert.ok(!budgets.of("a", SLOW).rate.admitUp(1500, 0));
  assert.ok(budgets.of("a", UNLIMITED).rate.admitUp(1500, 0));
});
