/** What the commands have in common that write a certificate and its key: `zgate pki issue` and `renew`. */
import type { Issued, RenewOptions } from "../../shared/pki/issuance.ts";
import type { KeyType } from "../../shared/pki/keys.ts";
import { passphraseOf } from "./options.ts";

export interface LeafFlags {
  readonly dir: string;
  readonly days?: number;
  readonly keyType: KeyType;
  readonly passphraseFile?: string;
}

/** What the flags say of a certificate that is made now. */
export async function leafOptions(name: string, flags: LeafFlags): Promise<RenewOptions> {
  const passphrase = await passphraseOf(flags.passphraseFile);
  return {
    folder: flags.dir,
    name,
    keyType: flags.keyType,
    now: new Date(),
    ...(flags.days === undefined ? {} : { lifetimeMs: flags.days }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
}

/** Says which files were written, and until when the certificate is good. */
export function printIssued({ certificate, certificatePath, keyPath }: Issued): void {
  process.stdout.write(`${certificatePath} (until ${certificate.notAfter.toISOString()})\n${keyPath}\n`);
}
