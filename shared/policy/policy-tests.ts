/** The tests inside a policy: run against the compiled policy, failures as problems at their places. */
import type { UnixMs } from "../units.ts";
import { formatAddress } from "./address.ts";
import type { CompiledPolicy, Verdict } from "./compiled-policy.ts";
import { Complaint } from "./complaint.ts";
import type { PolicyDocument, PolicyTest } from "./document.ts";
import { formatProtocol } from "./port-selector.ts";
import { type FilesRead, PolicyError, type PolicyProblem } from "./problem.ts";
import { targetOf } from "./test-case.ts";

export interface TestResult {
  readonly test: PolicyTest;
  readonly passed: boolean;
  readonly verdict: Verdict;
}

/** Runs all tests; `at` is the time for those that name none. */
export function runTests(document: PolicyDocument, policy: CompiledPolicy, at: UnixMs): TestResult[] {
  return document.tests.map((test) => {
    const verdict = verdictOf(policy, test, at);
    const passed = verdict.action === test.expect && (test.rule === undefined || test.rule === verdict.ruleId);
    return { test, passed, verdict };
  });
}

/** Throws `ZG_POLICY_TESTS_FAILED` with every failed test. */
export function assertTests(document: PolicyDocument, policy: CompiledPolicy, at: UnixMs, files: FilesRead): void {
  const failed = runTests(document, policy, at).filter(({ passed }) => !passed);
  if (failed.length > 0) throw new PolicyError("ZG_POLICY_TESTS_FAILED", failed.map(problemOf), files);
}

function verdictOf(policy: CompiledPolicy, test: PolicyTest, at: UnixMs): Verdict {
  const { destination, protocol, port, icmpType } = test;
  const target = targetOf(destination, { protocol, port, icmpType: icmpType < 0 ? undefined : icmpType });
  const client = policy.client(test.client);
  // The parser refused such tests; fail closed all the same.
  if (target instanceof Complaint || client === undefined) return policy.refusal;
  return client.judge(target, test.at ?? at);
}

function problemOf({ test, verdict }: TestResult): PolicyProblem {
  const expected = test.rule === undefined ? test.expect : `${test.expect} by rule ${JSON.stringify(test.rule)}`;
  const decided = `rule ${JSON.stringify(verdict.ruleId)} decides ${verdict.action} (${verdict.reason})`;
  return test.place.source.problem(
    test.place.offset,
    `test failed: ${describeTest(test)}`,
    `expected ${expected}, but ${decided}`,
  );
}

/** `client-1 to 8.8.8.8 udp/53` */
export function describeTest(test: PolicyTest): string {
  const { version, w0, w1, w2, w3 } = test.destination;
  const port = test.port === undefined ? "" : `/${test.port}`;
  const flow = `${test.client} to ${formatAddress(version, w0, w1, w2, w3)} ${formatProtocol(test.protocol)}${port}`;
  return test.name === undefined ? flow : `${JSON.stringify(test.name)}: ${flow}`;
}
