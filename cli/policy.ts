/** `zgate policy …`: check, test, explain, compare and replay policies, and tell a relay to load its own again. */
import { Command } from "commander";
import { checkCommand } from "./policy/check.ts";
import { diffCommand } from "./policy/diff.ts";
import { explainCommand } from "./policy/explain.ts";
import { reloadCommand } from "./policy/reload.ts";
import { replayCommand } from "./policy/replay.ts";
import { testCommand } from "./policy/test.ts";

export function policyCommand(): Command {
  return new Command("policy")
    .description("check, test, explain and compare policies")
    .addCommand(checkCommand())
    .addCommand(testCommand())
    .addCommand(explainCommand())
    .addCommand(diffCommand())
    .addCommand(replayCommand())
    .addCommand(reloadCommand());
}
