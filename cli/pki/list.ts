/** `zgate pki list`: what the authority has signed, and in which state it is. */
import { Command } from "commander";
import { readLedger } from "../../shared/pki/authority.ts";
import { stateOf } from "../../shared/pki/ledger.ts";
import { folderOption } from "./options.ts";

interface ListFlags {
  readonly dir: string;
  readonly all?: true;
  readonly json?: true;
}

export function listCommand(): Command {
  return new Command("list")
    .description("list the certificates that the authority has signed")
    .addOption(folderOption())
    .option("--all", "expired and revoked ones as well")
    .option("--json", "one JSON object a line")
    .action(async (flags: ListFlags) => {
      const now = new Date();
      const ledger = await readLedger(flags.dir);
      const rows = [...ledger.issued.values()]
        .map((entry) => ({ ...entry, type: undefined, state: stateOf(entry, ledger, now) }))
        .filter((row) => flags.all === true || row.state === "valid");
      const lines = rows.map((row) =>
        flags.json === true
          ? JSON.stringify(row)
          : `${row.state.padEnd(7)} ${row.kind.padEnd(6)} ${row.notAfter.slice(0, 19)}Z ${row.serial.padEnd(32)} ${row.name}`,
      );
      process.stdout.write(lines.map((line) => `${line}\n`).join(""));
    });
}
