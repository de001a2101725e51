/** `zgate pki issue relay|client NAME`: a key and a certificate for it. */
import { Argument, Command } from "commander";
import { issueLeaf } from "../../shared/pki/issuance.ts";
import { leafOptions, printIssued } from "./leaf.ts";
import type { LeafFlags } from "./leaf.ts";
import { folderOption, keyTypeOption, lifetimeOfDays, passphraseOption } from "./options.ts";

interface IssueFlags extends LeafFlags {
  readonly san: readonly string[];
}

export function issueCommand(): Command {
  return new Command("issue")
    .description("make a key and a certificate for a relay or a client")
    .addArgument(new Argument("<kind>", "what it is for").choices(["relay", "client"]))
    .argument("<name>", "the client's name in the policy; for a relay the name of its files")
    .addOption(folderOption())
    .option("--days <COUNT>", "lifetime (default: 90 for a relay, 1 for a client)", lifetimeOfDays)
    .option("--san <NAME...>", "a relay's DNS names and IP addresses (default: its name)", [])
    .addOption(keyTypeOption())
    .addOption(passphraseOption("decrypt"))
    .action(async (kind: "relay" | "client", name: string, flags: IssueFlags) => {
      printIssued(await issueLeaf({ ...(await leafOptions(name, flags)), kind, names: flags.san }));
    });
}
