/** `zgate pki serve`: enrolment and renewal, in a process apart from any relay, which needs no signing key then. */
import { once } from "node:events";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { formatHostPort } from "../../shared/config/host-port.ts";
import type { HostPort } from "../../shared/config/host-port.ts";
import { bindAddress } from "../../shared/config/values.ts";
import { createLogger } from "../../shared/logging.ts";
import { DEFAULT_ENROLMENT_PORT } from "../../shared/pki/constants.ts";
import { hostEnrolment, logEnrolment } from "../../shared/pki/enrolment-host.ts";
import { EnrolmentService } from "../../shared/pki/enrolment-service.ts";
import { folderOption, passphraseOf, passphraseOption } from "./options.ts";

interface ServeFlags {
  readonly dir: string;
  readonly listen: HostPort;
  readonly cert?: string;
  readonly key?: string;
  readonly passphraseFile?: string;
}

const DEFAULT_LISTEN: HostPort = { host: "0.0.0.0", port: DEFAULT_ENROLMENT_PORT };

export function serveCommand(): Command {
  return new Command("serve")
    .description("serve enrolment against tokens, and renewal, on a TCP port")
    .addOption(folderOption())
    .addOption(
      new Option("--listen <ADDRESS:PORT>", "TCP address")
        .argParser(listenAddress)
        .default(DEFAULT_LISTEN, formatHostPort(DEFAULT_LISTEN)),
    )
    .option("--cert <FILE>", "certificate of the service, one of a relay (default: relay.pem in the folder)")
    .option("--key <FILE>", "its key (default: relay-key.pem in the folder)")
    .addOption(passphraseOption("decrypt"))
    .action(async (flags: ServeFlags) => {
      const log = createLogger({ level: "info", name: "pki" });
      const { dir: folder, listen, cert = join(folder, "relay.pem"), key = join(folder, "relay-key.pem") } = flags;
      const passphrase = await passphraseOf(flags.passphraseFile);
      const service = await EnrolmentService.open(folder, passphrase, (event) => logEnrolment(log, event));
      const server = await hostEnrolment({ service, folder, listen, cert, key, keyExchange: "prefer-pq", log });
      await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
      await server.close();
    });
}

function listenAddress(text: string): HostPort {
  const parsed = bindAddress.safeParse(text);
  if (!parsed.success) throw new InvalidArgumentError(`${parsed.error.issues[0]?.message ?? "wrong"}.`);
  return parsed.data;
}
