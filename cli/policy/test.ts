/** `zgate policy test`: runs the tests inside a policy, and says of those that fail which rule decided. */
import { styleText } from "node:util";
import { Command } from "commander";
import { formatPrefix } from "../../shared/policy/address.ts";
import { compilePolicy } from "../../shared/policy/compile.ts";
import { explainFlow } from "../../shared/policy/explain.ts";
import { readPolicyFile } from "../../shared/policy/load.ts";
import { describeTest, runTests, type TestResult } from "../../shared/policy/policy-tests.ts";
import { formatProtocol } from "../../shared/policy/port-selector.ts";
import { formatPlace } from "../../shared/policy/problem-list.ts";
import type { PolicyDocument } from "../../shared/policy/document.ts";
import { Complaint } from "../../shared/policy/complaint.ts";
import { targetOf } from "../../shared/policy/test-case.ts";
import type { UnixMs } from "../../shared/units.ts";
import { EXIT_CODES } from "../failure.ts";
import { atOption, jsonOption, now, printJson, printLines } from "./options.ts";

interface TestFlags {
  readonly at?: UnixMs;
  readonly json?: true;
}

export function testCommand(): Command {
  return new Command("test")
    .description("run the tests inside a policy")
    .argument("<FILE>", "the policy")
    .addOption(atOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExit codes: 0 every test passed; 3 one failed, or the policy is wrong.")
    .action(async (file: string, flags: TestFlags) => {
      const { document } = await readPolicyFile(file);
      const at = flags.at ?? now();
      const results = runTests(document, compilePolicy(document), at);
      const failed = results.filter(({ passed }) => !passed).length;
      if (flags.json) printJson({ passed: results.length - failed, failed, tests: results.map(asJson) });
      else {
        printLines(results.flatMap((result) => describe(document, result, at)));
        printLines([`${results.length - failed} passed, ${failed} failed`]);
      }
      if (failed > 0) process.exitCode = EXIT_CODES.refused;
    });
}

function describe(document: PolicyDocument, { test, passed, verdict }: TestResult, at: UnixMs): string[] {
  const mark = passed ? styleText("green", "pass") : styleText("red", "FAIL");
  const line = `${mark} ${describeTest(test)}: ${verdict.action} by ${verdict.ruleId}`;
  if (passed) return [line];
  const wanted = test.rule === undefined ? test.expect : `${test.expect} by ${test.rule}`;
  return [line, `     expected ${wanted}; the test is at ${formatPlace(test.place)}, ${decidedAt(document, test, at)}`];
}

function decidedAt(document: PolicyDocument, test: TestResult["test"], at: UnixMs): string {
  const { protocol, port, icmpType } = test;
  const target = targetOf(test.destination, { protocol, port, icmpType: icmpType < 0 ? undefined : icmpType });
  const rule = target instanceof Complaint ? null : explainFlow(document, test.client, target, test.at ?? at).rule;
  return rule === null ? "and no rule matches" : `the rule at ${rule.place}`;
}

function asJson({ test, passed, verdict }: TestResult): Record<string, unknown> {
  return {
    name: test.name,
    client: test.client,
    dst: formatPrefix(test.destination),
    proto: formatProtocol(test.protocol),
    port: test.port,
    expect: test.expect,
    rule: test.rule,
    passed,
    action: verdict.action,
    ruleId: verdict.ruleId,
    reason: verdict.reason,
    place: formatPlace(test.place),
  };
}
