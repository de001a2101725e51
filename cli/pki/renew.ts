/** `zgate pki renew NAME`: a new key and certificate in the place of the old ones. */
import { Command } from "commander";
import { renewLeaf } from "../../shared/pki/issuance.ts";
import { leafOptions, printIssued } from "./leaf.ts";
import type { LeafFlags } from "./leaf.ts";
import { folderOption, keyTypeOption, lifetimeOfDays, passphraseOption } from "./options.ts";

export function renewCommand(): Command {
  return new Command("renew")
    .description(
      "replace a certificate and its key by new ones of the same names; programs that follow them take them up",
    )
    .argument("<name>", "name of the files, as given to issue")
    .addOption(folderOption())
    .option("--days <COUNT>", "lifetime (default: that of the old one)", lifetimeOfDays)
    .addOption(keyTypeOption())
    .addOption(passphraseOption("decrypt"))
    .action(async (name: string, flags: LeafFlags) => {
      printIssued(await renewLeaf(await leafOptions(name, flags)));
    });
}
