/** `zgate pki init`: a root and an issuing CA under it. */
import { Command } from "commander";
import { initAuthority } from "../../shared/pki/authority.ts";
import type { KeyType } from "../../shared/pki/keys.ts";
import { folderOption, keyTypeOption, passphraseOf, passphraseOption } from "./options.ts";

interface InitFlags {
  readonly dir: string;
  readonly name: string;
  readonly keyType: KeyType;
  readonly passphraseFile?: string;
}

export function initCommand(): Command {
  return new Command("init")
    .description("make a root CA and an issuing CA under it")
    .addOption(folderOption())
    .option("--name <NAME>", "stands in the names of the CAs", "development")
    .addOption(keyTypeOption())
    .addOption(passphraseOption("encrypt"))
    .action(async (flags: InitFlags) => {
      const passphrase = await passphraseOf(flags.passphraseFile);
      const paths = await initAuthority({
        folder: flags.dir,
        name: flags.name,
        keyType: flags.keyType,
        now: new Date(),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      process.stdout.write(`${paths.join("\n")}\n`);
    });
}
