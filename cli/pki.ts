/** `zgate pki …`: the certificate authority in a folder. */
import { Command } from "commander";
import { crlCommand } from "./pki/crl.ts";
import { initCommand } from "./pki/init.ts";
import { issueCommand } from "./pki/issue.ts";
import { listCommand } from "./pki/list.ts";
import { renewCommand } from "./pki/renew.ts";
import { revokeCommand } from "./pki/revoke.ts";
import { serveCommand } from "./pki/serve.ts";
import { showCommand } from "./pki/show.ts";
import { tokenCommand } from "./pki/token.ts";

export function pkiCommand(): Command {
  return new Command("pki")
    .description("make and manage certificates")
    .addCommand(initCommand())
    .addCommand(issueCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(renewCommand())
    .addCommand(revokeCommand())
    .addCommand(crlCommand())
    .addCommand(tokenCommand())
    .addCommand(serveCommand());
}
