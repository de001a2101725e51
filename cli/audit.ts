/** `zgate audit …`: reads what a relay wrote with `--audit-file`. */
import { Command } from "commander";
import { showCommand } from "./audit/show.ts";
import { verifyCommand } from "./audit/verify.ts";

export function auditCommand(): Command {
  return new Command("audit")
    .description("check and read audit logs")
    .addCommand(verifyCommand())
    .addCommand(showCommand());
}
