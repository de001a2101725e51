/** `zgate pki crl`: fresh revocation lists, for a timer. */
import { Command } from "commander";
import { writeRevocationLists } from "../../shared/pki/revocation.ts";
import { folderOption, passphraseOf, passphraseOption } from "./options.ts";

interface CrlFlags {
  readonly dir: string;
  readonly passphraseFile?: string;
}

export function crlCommand(): Command {
  return new Command("crl")
    .description("write crl.pem anew: the issuing CA's list is good for a week")
    .addOption(folderOption())
    .addOption(passphraseOption("decrypt"))
    .action(async (flags: CrlFlags) => {
      const passphrase = await passphraseOf(flags.passphraseFile);
      const options = { folder: flags.dir, now: new Date(), ...(passphrase === undefined ? {} : { passphrase }) };
      process.stdout.write(`${await writeRevocationLists(options)}\n`);
    });
}
