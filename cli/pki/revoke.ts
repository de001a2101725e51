/** `zgate pki revoke WHAT`: revocation, and the lists that say so. */
import { Argument, Command, Option } from "commander";
import { REVOCATION_REASONS } from "../../shared/pki/ledger.ts";
import type { RevocationReason } from "../../shared/pki/ledger.ts";
import { revoke } from "../../shared/pki/revocation.ts";
import { folderOption, passphraseOf, passphraseOption } from "./options.ts";

interface RevokeFlags {
  readonly dir: string;
  readonly reason: RevocationReason;
  readonly passphraseFile?: string;
}

export function revokeCommand(): Command {
  return new Command("revoke")
    .description("revoke certificates and write crl.pem; a relay that follows it ends their sessions")
    .addArgument(
      new Argument(
        "<what>",
        "a name (all its valid certificates), a serial number, or a certificate's path (each with its renewals)",
      ),
    )
    .addOption(folderOption())
    .addOption(new Option("--reason <REASON>", "why").choices(REVOCATION_REASONS).default("unspecified"))
    .addOption(passphraseOption("decrypt"))
    .action(async (what: string, flags: RevokeFlags) => {
      const passphrase = await passphraseOf(flags.passphraseFile);
      const { dir: folder, reason } = flags;
      const now = new Date();
      const revoked = await revoke({ folder, what, reason, now, ...(passphrase === undefined ? {} : { passphrase }) });
      process.stdout.write(revoked.map((entry) => `revoked ${entry.serial} ${entry.name}\n`).join(""));
    });
}
