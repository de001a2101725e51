/** `zgate pki token create`: one line that takes a new machine into the network. */
import { Command, InvalidArgumentError, Option } from "commander";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseHostPort } from "../../shared/config/host-port.ts";
import type { HostPort } from "../../shared/config/host-port.ts";
import { duration } from "../../shared/config/values.ts";
import { ZgateError } from "../../shared/errors.ts";
import { readCertificate } from "../../shared/pki/authority.ts";
import { CLIENT_LIFETIME_MS, DAY_MS, DEFAULT_ENROLMENT_PORT, TOKEN_LIFETIME_MS } from "../../shared/pki/constants.ts";
import { formatToken } from "../../shared/pki/enrolment-token.ts";
import { isClientName } from "../../shared/pki/profiles.ts";
import { createToken, removeExpiredTokens } from "../../shared/pki/token-store.ts";
import { durationMs } from "../../shared/units.ts";
import { folderOption, lifetimeOfDays } from "./options.ts";

interface CreateFlags {
  readonly dir: string;
  readonly client: string;
  readonly at: HostPort;
  readonly ttl: number;
  readonly days: number;
}

export function tokenCommand(): Command {
  return new Command("token").description("enrolment tokens").addCommand(createCommand());
}

function createCommand(): Command {
  return new Command("create")
    .description("print one line for `zgate agent enroll` on the new machine; it works once")
    .addOption(folderOption())
    .requiredOption("--client <NAME>", "the new client's name in the policy")
    .requiredOption(
      "--at <HOST:PORT>",
      `where zgate pki serve listens, as the new machine reaches it`,
      enrolmentAddress,
    )
    .addOption(
      new Option("--ttl <DURATION>", "how long the token may be used")
        .argParser(tokenLifetime)
        .default(TOKEN_LIFETIME_MS, `${TOKEN_LIFETIME_MS / 60_000}m`),
    )
    .addOption(
      new Option("--days <COUNT>", "lifetime of the certificate")
        .argParser(lifetimeOfDays)
        .default(CLIENT_LIFETIME_MS, `${CLIENT_LIFETIME_MS / DAY_MS}`),
    )
    .action(async ({ dir: folder, client, at, ttl, days: lifetimeMs }: CreateFlags) => {
      if (!isClientName(client)) {
        throw new ZgateError("ZG_PKI_INVALID", `${JSON.stringify(client)} cannot be a client's name`);
      }
      const now = new Date();
      const root = await readCertificate(join(folder, "ca.pem"));
      const rootFingerprint256 = createHash("sha256").update(new Uint8Array(root.rawData)).digest("hex");
      await removeExpiredTokens(folder, now);
      const notAfter = new Date(now.getTime() + ttl);
      const { id, secret } = await createToken(folder, { client, notAfter, lifetimeMs });
      process.stdout.write(`${formatToken({ at, rootFingerprint256, id, secret, name: client })}\n`);
    });
}

function enrolmentAddress(text: string): HostPort {
  const at = parseHostPort(text, DEFAULT_ENROLMENT_PORT);
  if (at === undefined || at.port === 0) throw new InvalidArgumentError("expected HOST:PORT.");
  return at;
}

function tokenLifetime(text: string): number {
  const parsed = duration(durationMs(1000)).safeParse(text);
  if (!parsed.success) {
    throw new InvalidArgumentError("expected a duration such as 15m or 24h, from 1s to 24h.");
  }
  return parsed.data;
}
