/** `zgate pki issue relay|client NAME`: a key and a certificate for it. */
import { Argument, Command } from "commander";
import { issueLeaf } from "../../shared/pki/issuance.ts";
import type { KeyType } from "../../shared/pki/keys.ts";
import { folderOption, keyTypeOption, lifetimeOfDays, passphraseOf, passphraseOption } from "./options.ts";

interface IssueFlags {
  readonly dir: string;
  readonly days?: number;
  readonly san: readonly string[];
  readonly keyType: KeyType;
  readonly passphraseFile?: string;
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
      const passphrase = await passphraseOf(flags.passphraseFile);
      const issued = await issueLeaf({
        folder: flags.dir,
        kind,
        name,
        names: flags.san,
        keyType: flags.keyType,
        now: new Date(),
        ...(flags.days === undefined ? {} : { lifetimeMs: flags.days }),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      const ends = issued.certificate.notAfter.toISOString();
      process.stdout.write(`${issued.certificatePath} (until ${ends})\n${issued.keyPath}\n`);
    });
}
