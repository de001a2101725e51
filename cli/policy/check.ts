/** `zgate policy check`: would a relay load this policy? All that is wrong with it at once. */
import { styleText } from "node:util";
import { Command } from "commander";
import type { PolicyDocument } from "../../shared/policy/document.ts";
import { loadPolicyFile } from "../../shared/policy/load.ts";
import { PolicyError, type PolicyProblem } from "../../shared/policy/problem.ts";
import type { UnixMs } from "../../shared/units.ts";
import { EXIT_CODES } from "../failure.ts";
import { describeProblems } from "./excerpt.ts";
import { atOption, counted, jsonOption, now, printJson, printLines } from "./options.ts";

interface CheckFlags {
  readonly at?: UnixMs;
  readonly json?: true;
}

const AFTER_HELP = `
The policy's own tests are run too: a relay does not load a policy whose tests fail.

Exit codes: 0 a relay loads it; 3 it does not.`;

export function checkCommand(): Command {
  return new Command("check")
    .description("check a policy, and the files that it includes, as a relay does before it loads it")
    .argument("<FILE>", "the policy")
    .addOption(atOption())
    .addOption(jsonOption())
    .addHelpText("after", AFTER_HELP)
    .action(async (file: string, flags: CheckFlags) => {
      try {
        const { document, files } = await loadPolicyFile(file, { at: flags.at ?? now() });
        const counts = countsOf(document);
        if (flags.json) printJson({ ok: true, files: [...files.keys()], ...counts, problems: [] });
        else printLines([`${styleText("green", "ok")}: ${file}: ${describeCounts(counts, files.size)}`]);
      } catch (error) {
        if (!(error instanceof PolicyError)) throw error;
        if (flags.json)
          printJson({ ok: false, code: error.code, files: [...error.files.keys()], problems: error.problems });
        else printLines([...describeProblems(error.problems), describeRefusal(file, error.problems)]);
        process.exitCode = EXIT_CODES.refused;
      }
    });
}

interface Counts {
  readonly clients: number;
  readonly groups: number;
  readonly rules: number;
  readonly tests: number;
}

function countsOf({ clients, groups, tests }: PolicyDocument): Counts {
  const rules = [...clients.values(), ...groups.values()].reduce((sum, owner) => sum + owner.rules.length, 0);
  return { clients: clients.size, groups: groups.size, rules, tests: tests.length };
}

function describeCounts({ clients, groups, rules, tests }: Counts, files: number): string {
  const parts = [
    counted(clients, "client"),
    counted(groups, "group"),
    counted(rules, "rule"),
    `${counted(tests, "test")} passed`,
  ];
  return `${parts.join(", ")}${files === 1 ? "" : `, ${files} files`}`;
}

function describeRefusal(file: string, problems: readonly PolicyProblem[]): string {
  return `${styleText("red", "refused")}: ${file}: ${counted(problems.length, "problem")}`;
}
