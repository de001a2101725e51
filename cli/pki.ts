/** `zgate pki …`: the certificate authority in a folder. */
import { Command } from "commander";
import { initCommand } from "./pki/init.ts";
import { issueCommand } from "./pki/issue.ts";

export function pkiCommand(): Command {
  return new Command("pki")
    .description("make and manage certificates")
    .addCommand(initCommand())
    .addCommand(issueCommand());
}
