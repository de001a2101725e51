/**
 * The compiled policy, and its explanations, against a walk over the list of rules, which is how the language is defined: at least
 * 200,000 verdicts a run. A difference shrinks to a small policy and one flow.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FlowTarget } from "../packet/flow.ts";
import type { Prefix } from "./address.ts";
import { compilePolicy } from "./compile.ts";
import type { PolicyDocument, PolicyRule } from "./document.ts";
import { explainFlow } from "./explain.ts";
import { policy, question } from "./policy-fixture.ts";
import type { PortSelector } from "./port-selector.ts";
import type { TimeCondition } from "./schedule.ts";

const POLICIES = 2_000;
const MAX_FLOWS = 250;
const MIN_VERDICTS = 200_000;
/** One in so many verdicts is explained too. */
const EXPLAINED = 8;

// The reference: deliberately naive.

function walk(document: PolicyDocument, name: string, flow: FlowTarget, at: number): string {
  const client = document.clients.get(name);
  if (client === undefined || !client.enabled) return "deny by client_disabled";
  const groups = [...document.groups.values()].filter(
    (group) => group.enabled && group.members.some((member) => member.name === name),
  );
  for (const rule of [client, ...groups].flatMap((owner) => owner.rules)) {
    if (matches(rule, flow, at)) return `${rule.action} by ${rule.id}`;
  }
  return `${document.defaultAction} by default_action`;
}

function matches(rule: PolicyRule, flow: FlowTarget, at: number): boolean {
  return (
    rule.enabled &&
    (rule.time === undefined || holds(rule.time, at)) &&
    (rule.destinations === undefined || rule.destinations.some((prefix) => contains(prefix, flow))) &&
    (rule.ports === undefined || rule.ports.some((selector) => selects(selector, flow)))
  );
}

function holds({ notBefore, notAfter, windows }: TimeCondition, at: number): boolean {
  if (notBefore !== undefined && at < notBefore) return false;
  if (notAfter !== undefined && at >= notAfter) return false;
  if (windows.length === 0) return true;
  const hour = new Date(at).getUTCHours();
  const day = ((new Date(at).getUTCDay() + 6) % 7) + 1;
  return windows.some(
    ({ days, hours }) => ((days >> day) & 1) === 1 && hours.some(({ from, to }) => hour * 60 >= from && hour * 60 < to),
  );
}

function contains(prefix: Prefix, flow: FlowTarget): boolean {
  if (prefix.version !== flow.version) return false;
  const bits = prefix.version === 4 ? 32 : 128;
  const inside = binary(prefix.w0, prefix.w1, prefix.w2, prefix.w3).slice(128 - bits);
  const address = binary(flow.dst0, flow.dst1, flow.dst2, flow.dst3).slice(128 - bits);
  return inside.slice(0, prefix.length) === address.slice(0, prefix.length);
}

function binary(...words: readonly number[]): string {
  return words.map((word) => word.toString(2).padStart(32, "0")).join("");
}

function selects(selector: PortSelector, flow: FlowTarget): boolean {
  if (selector.protocol !== flow.protocol) return false;
  if (!selector.ranged) return true;
  if (flow.hasPorts) return selector.from <= flow.dstPort && flow.dstPort <= selector.to;
  return flow.icmpType >= 0 && selector.from <= flow.icmpType && flow.icmpType <= selector.to;
}

test(`at least ${MIN_VERDICTS} verdicts are those of a walk over the list of rules`, () => {
  let verdicts = 0;
  const questions = fc.array(question, { minLength: 1, maxLength: MAX_FLOWS, size: "max" });
  const property = fc.property(policy, questions, (document, questions) => {
    const compiled = compilePolicy(document);
    for (const [name, flow, at] of questions) {
      const { action, ruleId } = compiled.client(name)!.judge(flow, at);
      const expected = walk(document, name, flow, at);
      assert.equal(`${action} by ${ruleId}`, expected);
      if (verdicts % EXPLAINED === 0) {
        const explained = explainFlow(document, name, flow, at);
        assert.equal(`${explained.action} by ${explained.ruleId}`, expected);
      }
      verdicts++;
    }
  });
  fc.assert(property, { numRuns: POLICIES });
  assert.ok(verdicts >= MIN_VERDICTS, `only ${verdicts} verdicts`);
});
