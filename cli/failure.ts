/** How a command fails: one `zgate: CODE: sentence` a line on standard error, and an exit code that scripts can use. */
import type { ErrorCode } from "../shared/errors.ts";
import { messageOf, ZgateError } from "../shared/errors.ts";

export const EXIT_CODES = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  system: 4,
  peer: 5,
} as const;

/** For the end of `zgate --help`. */
export const EXIT_CODE_HELP = `
Exit codes:
  0  done
  1  failed in a way that no other code names
  2  the command line, the configuration, or a file's place is wrong
  3  a policy, certificate, key or record was checked and refused
  4  the operating system refused: device, socket, privilege, missing addon
  5  the other side could not be reached, or refused

ZGATE_DEBUG=1 adds stack traces to errors.`;

const EXIT_CODE_OF: Readonly<Record<ErrorCode, number>> = {
  ZG_CONFIG_INVALID: EXIT_CODES.usage,
  ZG_CONFIG_UNKNOWN_KEY: EXIT_CODES.usage,
  ZG_FILE_UNREADABLE: EXIT_CODES.usage,
  ZG_FILE_EXISTS: EXIT_CODES.usage,
  ZG_POLICY_INVALID: EXIT_CODES.refused,
  ZG_POLICY_TESTS_FAILED: EXIT_CODES.refused,
  ZG_POLICY_THREAD: EXIT_CODES.failed,
  ZG_PKI_INVALID: EXIT_CODES.refused,
  ZG_TLS_MATERIAL: EXIT_CODES.refused,
  ZG_TLS_HANDSHAKE: EXIT_CODES.peer,
  ZG_NATIVE_MISSING: EXIT_CODES.system,
  ZG_NATIVE_FAILED: EXIT_CODES.system,
  ZG_TUN: EXIT_CODES.system,
  ZG_UDP: EXIT_CODES.system,
  ZG_TCP: EXIT_CODES.system,
  ZG_HOST_COMMAND: EXIT_CODES.system,
  ZG_PRIVILEGE: EXIT_CODES.system,
  ZG_CONNECT_FAILED: EXIT_CODES.peer,
  ZG_CONNECTION_CLOSED: EXIT_CODES.peer,
  ZG_HTTP3: EXIT_CODES.peer,
  ZG_CAPSULE: EXIT_CODES.peer,
  ZG_NEGOTIATION: EXIT_CODES.peer,
  ZG_SESSION_REFUSED: EXIT_CODES.peer,
  ZG_AUDIT: EXIT_CODES.refused,
  ZG_POOL_EMPTY: EXIT_CODES.peer,
};

/** The exit code of anything that was thrown. */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof ZgateError ? EXIT_CODE_OF[thrown.code] : EXIT_CODES.failed;
}

/** What is printed of anything that was thrown: a message of several lines gets the prefix on each. */
export function describeFailure(thrown: unknown, debug: boolean): string {
  const prefix = thrown instanceof ZgateError ? `zgate: ${thrown.code}: ` : "zgate: ";
  const lines = messageOf(thrown)
    .split("\n")
    .map((line) => prefix + line);
  if (debug && thrown instanceof Error) lines.push(...stacksOf(thrown));
  return lines.join("\n");
}

function* stacksOf(error: Error): Generator<string> {
  yield error.stack ?? error.name;
  if (error.cause instanceof Error) yield* stacksOf(error.cause);
}
