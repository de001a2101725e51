/** `zgate pki renew NAME`: a new key and certificate in the place of the old ones. */
import { Command } from "commander";
import { renewLeaf } from "../../shared/pki/issuance.ts";
import type { KeyType } from "../../shared/pki/keys.ts";
import { folderOption, keyTypeOption, lifetimeOfDays, passphraseOf, passphraseOption } from "./options.ts";

interface RenewFlags {
  readonly dir: string;
  readonly days?: number;
  readonly keyType: KeyType;
  readonly passphraseFile?: string;
}

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
    .action(async (name: string, flags: RenewFlags) => {
      const passphrase = await passphraseOf(flags.passphraseFile);
      const issued = await renewLeaf({
        folder: flags.dir,
        name,
        keyType: flags.keyType,
        now: new Date(),
        ...(flags.days === undefined ? {} : { lifetimeMs: flags.days }),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      const ends = issued.certificate.notAfter.toISOString();
      process.stdout.write(`${issued.certificatePath} (until ${ends})\n${issued.keyPath}\n`);
    });
}
