/** `zgate policy reload`: tells the relay on this machine to load its policy again. */
import { styleText } from "node:util";
import { Command } from "commander";
import { EXIT_CODES } from "../failure.ts";
import { adminOption, askRelay, refusedBy } from "./admin-client.ts";
import { counted, jsonOption, printJson, printLines } from "./options.ts";

interface ReloadFlags {
  readonly admin: string;
  readonly json?: true;
}

const REFUSED = 422;

export function reloadCommand(): Command {
  return new Command("reload")
    .description("tell the running relay to load its policy again")
    .addOption(adminOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExit codes: 0 it is in force; 3 it was refused, and the old one stays in force; 5 no relay answers.",
    )
    .action(async (flags: ReloadFlags) => {
      const answer = await askRelay(flags.admin, "/v1/policy/reload", {});
      const { status, body } = answer;
      if (status !== 200 && status !== REFUSED) throw refusedBy(answer);
      if (flags.json) printJson(body);
      else printLines(status === REFUSED ? describeRefusal(body) : describeSuccess(body));
      if (status === REFUSED) process.exitCode = EXIT_CODES.refused;
    });
}

function describeSuccess(body: Readonly<Record<string, unknown>>): string[] {
  return [`${styleText("green", "in force")}: generation ${String(body["generation"])}`, ...textsOf(body["changes"])];
}

function describeRefusal(body: Readonly<Record<string, unknown>>): string[] {
  const problems = textsOf(body["problems"]);
  const kept = `generation ${String(body["generation"])} stays in force`;
  return [...problems, `${styleText("red", "refused")}: ${counted(problems.length, "problem")}; ${kept}`];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
