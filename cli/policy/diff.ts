/** `zgate policy diff`: what a new policy lets clients reach that the old one did not, and the other way round. */
import { styleText } from "node:util";
import { Command } from "commander";
import { groupByChange } from "../../shared/policy/change-summary.ts";
import { type ClientDifference, comparePolicies } from "../../shared/policy/difference.ts";
import { readPolicyFile } from "../../shared/policy/load.ts";
import type { UnixMs } from "../../shared/units.ts";
import { EXIT_CODES } from "../failure.ts";
import { atOption, exitCodeOption, jsonOption, now, printJson, printLines } from "./options.ts";

interface DiffFlags {
  readonly at?: UnixMs;
  readonly json?: true;
  readonly exitCode?: true;
}

const AFTER_HELP = `
Rules that a schedule or a date keeps out of force at that time do not count: see --at.

Exit codes: 0 the policies were compared; 3 one of them is wrong.`;

export function diffCommand(): Command {
  return new Command("diff")
    .description("compare two policies by what they let each client reach")
    .argument("<OLD>", "the policy before")
    .argument("<NEW>", "the policy after")
    .addOption(atOption())
    .addOption(jsonOption())
    .addOption(exitCodeOption("something differs"))
    .addHelpText("after", AFTER_HELP)
    .action(async (before: string, after: string, flags: DiffFlags) => {
      const [old, changed] = [await readPolicyFile(before), await readPolicyFile(after)];
      const differences = comparePolicies(old.document, changed.document, flags.at ?? now());
      if (flags.json) printJson({ same: differences.length === 0, clients: differences });
      else printLines(describeDifferences(differences));
      if (flags.exitCode && differences.length > 0) process.exitCode = EXIT_CODES.failed;
    });
}

function describeDifferences(differences: readonly ClientDifference[]): string[] {
  if (differences.length === 0) return ["nothing becomes reachable and nothing stops being so"];
  return groupByChange(differences).flatMap(({ clients, lines }) => [
    styleText("bold", clients),
    ...lines.map(coloured),
  ]);
}

function coloured(line: string): string {
  return styleText(line.startsWith("+") ? "green" : line.startsWith("-") ? "red" : "yellow", `  ${line}`);
}
