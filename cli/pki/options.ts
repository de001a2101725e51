/** Options that several `zgate pki` commands have in common. */
import { InvalidArgumentError, Option } from "commander";
import { readTextFile } from "../../shared/yaml/file.ts";
import { KEY_TYPES } from "../../shared/pki/keys.ts";
import { DAY_MS } from "../../shared/pki/constants.ts";
import { ZgateError } from "../../shared/errors.ts";

export const DEFAULT_FOLDER = "certs";

export function folderOption(): Option {
  return new Option("--dir <FOLDER>", "folder of the certificate authority").default(DEFAULT_FOLDER);
}

export function keyTypeOption(): Option {
  return new Option("--key-type <TYPE>", "type of the key").choices(KEY_TYPES).default("p256");
}

export function passphraseOption(purpose: string): Option {
  return new Option("--passphrase-file <FILE>", `${purpose} the CA keys with the first line of this file`);
}

/** Bytes of a passphrase file that are read. */
const MAX_PASSPHRASE_BYTES = 4096;
/** Characters. */
const MIN_PASSPHRASE_LENGTH = 12;

/** A passphrase never stands on a command line, where every process list would show it. */
export async function passphraseOf(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const [line = ""] = (await readTextFile(file, MAX_PASSPHRASE_BYTES)).split(/\r?\n/);
  if (line.length < MIN_PASSPHRASE_LENGTH) {
    throw new ZgateError("ZG_CONFIG_INVALID", `${file}: a passphrase has at least ${MIN_PASSPHRASE_LENGTH} characters`);
  }
  return line;
}

/** Days of a certificate's life, as they may be given: a root of ten years is the longest. */
const MAX_DAYS = 3650;

export function lifetimeOfDays(text: string): number {
  const days = /^\d{1,4}(?:\.\d{1,4})?$/.test(text) ? Number(text) : 0;
  if (days <= 0 || days > MAX_DAYS) throw new InvalidArgumentError(`expected a number of days up to ${MAX_DAYS}.`);
  return Math.round(days * DAY_MS);
}
