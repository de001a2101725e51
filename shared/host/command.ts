/**
 * Runs commands of the operating system: no shell, a time limit, bounded output, and an error that shows the
 * command and what it said.
 *
 * `runCommand` for everything; `runCommandSync` for exit handlers, where no promise is awaited any more.
 */
import { execFile, type ExecFileException, spawnSync } from "node:child_process";
import { ZgateError } from "../errors.ts";
import { COMMAND_TIMEOUT_MS, MAX_COMMAND_OUTPUT_BYTES, SHOWN_ERROR_CHARS } from "./constants.ts";

/** Which Debian package brings a command, for the advice in an error. */
const PACKAGE_OF: Readonly<Record<string, string>> = { ip: "iproute2", nft: "nftables" };

const OPTIONS = {
  encoding: "utf8",
  timeout: COMMAND_TIMEOUT_MS,
  killSignal: "SIGKILL",
  maxBuffer: MAX_COMMAND_OUTPUT_BYTES,
} as const;

/**
 * Standard output of `command` with `input` on its standard input. Throws `ZG_HOST_COMMAND` when it is not
 * installed, exits with another code than 0 or takes too long, and `ZG_PRIVILEGE` when the kernel forbids it.
 */
export function runCommand(command: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { ...OPTIONS, env: environment() }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(commandError(command, args, stderr, nodeReason(error)));
    });
    child.stdin?.on("error", () => {}); // EPIPE: the command ended early; its exit code tells.
    child.stdin?.end(input);
  });
}

/** `runCommand` that blocks. */
export function runCommandSync(command: string, args: readonly string[], input = ""): string {
  const done = spawnSync(command, args, { ...OPTIONS, env: environment(), input });
  if (done.error !== undefined || done.status !== 0) {
    const cause = done.error ?? new Error(endOf(done.status, done.signal));
    throw commandError(command, args, done.stderr ?? "", cause);
  }
  return done.stdout;
}

/** `execFile` says only that the command failed; what the caller wants to know is how it ended. */
function nodeReason(error: ExecFileException): Error {
  return typeof error.code === "string" ? error : new Error(endOf(error.code, error.signal), { cause: error });
}

function endOf(code: number | null | undefined, signal: string | null | undefined): string {
  return signal === "SIGKILL" ? `it was ended after ${COMMAND_TIMEOUT_MS} ms` : `exit code ${code ?? signal}`;
}

/** Messages in English, and `sbin`, which a user's PATH may lack. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: "C", PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin` };
}

function commandError(command: string, args: readonly string[], stderr: string, cause: Error): ZgateError {
  const line = [command, ...args].join(" ");
  if ("code" in cause && cause.code === "ENOENT") {
    const advice = PACKAGE_OF[command] === undefined ? "" : ` (Debian: apt-get install ${PACKAGE_OF[command]})`;
    return new ZgateError("ZG_HOST_COMMAND", `"${line}" cannot run: ${command} is not installed${advice}`, { cause });
  }
  const said = stderr.trim().slice(0, SHOWN_ERROR_CHARS) || cause.message;
  if (/operation not permitted|permission denied/i.test(said)) {
    return new ZgateError("ZG_PRIVILEGE", `"${line}" is not permitted (${said}): run as root or with CAP_NET_ADMIN`, {
      cause,
    });
  }
  return new ZgateError("ZG_HOST_COMMAND", `"${line}" failed: ${said}`, { cause });
}
