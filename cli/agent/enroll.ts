/** `zgate agent enroll`: this machine's key, and a certificate for it against a token. The key never leaves. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Command } from "commander";
import { formatHostPort } from "../../shared/config/host-port.ts";
import type { HostPort } from "../../shared/config/host-port.ts";
import { enrol } from "../../shared/pki/enrolment-client.ts";
import { parseToken } from "../../shared/pki/enrolment-token.ts";
import type { KeyType } from "../../shared/pki/keys.ts";
import { createFiles, PRIVATE_MODE, PUBLIC_MODE, refuseExisting } from "../../shared/pki/new-file.ts";
import { keyTypeOption } from "../pki/options.ts";

interface EnrollFlags {
  readonly dir: string;
  readonly keyType: KeyType;
}

export function enrollCommand(): Command {
  return new Command("enroll")
    .description("get a certificate for this machine with the line that `zgate pki token create` printed")
    .argument("[token]", "the line; without it, it is read from standard input, where no process list shows it")
    .option("--dir <FOLDER>", "where key and certificates go", "certs")
    .addOption(keyTypeOption())
    .action(async (line: string | undefined, flags: EnrollFlags) => {
      // Overwrites the arguments that other users of the machine see (/proc/PID/cmdline).
      process.title = "zgate agent enroll";
      const token = parseToken(line ?? (await firstLine(process.stdin)));
      const inFolder = (name: string): string => join(flags.dir, name);
      const paths = {
        key: inFolder(`${token.name}-key.pem`),
        cert: inFolder(`${token.name}.pem`),
        ca: inFolder("ca.pem"),
      };
      // Before the token is used up.
      await mkdir(flags.dir, { recursive: true });
      await refuseExisting(Object.values(paths));
      const { relayPort, ...credentials } = await enrol(token, flags.keyType);
      await createFiles([
        { path: paths.key, text: credentials.privateKeyPem, mode: PRIVATE_MODE },
        { path: paths.cert, text: credentials.certificatePem, mode: PUBLIC_MODE },
        { path: paths.ca, text: credentials.caPem, mode: PUBLIC_MODE },
      ]);
      const files = `--cert ${paths.cert} --key ${paths.key} --ca ${paths.ca}`;
      process.stdout.write(`zgate agent ${whereToConnect(token.at, relayPort)} ${files}\n`);
    });
}

/** A relay renews on the session, which is kept; another service needs its address, and is taken to be beside the relay. */
function whereToConnect(service: HostPort, relayPort: number | undefined): string {
  const at = formatHostPort(service);
  if (relayPort === undefined) return `--relay ${at} --renew ${at}`;
  return `--relay ${formatHostPort({ host: service.host, port: relayPort })} --renew on`;
}

/** Closes the input after it: one that stays open would keep the process. */
async function firstLine(input: NodeJS.ReadStream): Promise<string> {
  try {
    for await (const line of createInterface({ input })) return line;
    return "";
  } finally {
    input.destroy();
  }
}
