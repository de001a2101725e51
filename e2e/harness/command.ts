/**
 * Commands that run to their end, inside a network namespace or not.
 *
 * Stages: argv (wrapped in `ip netns exec`) → run without a shell → exit code and output.
 */
import { execFile, spawnSync } from "node:child_process";

import { ZgateError } from "../../shared/errors.ts";

/** How long a command may run unless its caller says otherwise, in milliseconds. */
const COMMAND_TIMEOUT_MS = 30_000;
/** The most output that a command may write, in bytes: iperf3's JSON of a long run is below 1 MB. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface RunOptions {
  /** Name of the network namespace to run in; the caller's own when absent. */
  readonly netns?: string;
  /** Added to the caller's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Text for the command's standard input, which is empty otherwise. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  /** The exit code; 128 when a signal ended the command, a time-out included. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. An exit code is a result, not an error: see `check` for that. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const [command, args] = argvInside(options.netns, argv);
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      {
        encoding: "utf8",
        env: environment(options.env),
        cwd: options.cwd,
        timeout: options.timeoutMs ?? COMMAND_TIMEOUT_MS,
        killSignal: "SIGKILL",
        maxBuffer: MAX_OUTPUT_BYTES,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
        resolve({ code, stdout, stderr: error !== null && stderr === "" ? error.message : stderr });
      },
    );
    child.stdin?.on("error", () => {}); // A command that ends before it read its input is judged by its exit code.
    child.stdin?.end(options.input ?? "");
  });
}

/** Runs a command to its end and returns its standard output; ZG_HOST_COMMAND unless it exits with 0. */
export async function check(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(argv, options);
  if (result.code !== 0) throw failure(argv, options.netns, result);
  return result.stdout;
}

/** `check` for set-up and clean-up steps, where nothing else has to run meanwhile. */
export function checkSync(argv: readonly string[], options: RunOptions = {}): string {
  const [command, args] = argvInside(options.netns, argv);
  const done = spawnSync(command, args, {
    encoding: "utf8",
    env: environment(options.env),
    cwd: options.cwd,
    input: options.input ?? "",
    timeout: options.timeoutMs ?? COMMAND_TIMEOUT_MS,
    killSignal: "SIGKILL",
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  const code = done.status ?? 128;
  if (code !== 0) {
    const stderr = done.stderr || (done.error?.message ?? "");
    throw failure(argv, options.netns, { code, stdout: done.stdout ?? "", stderr });
  }
  return done.stdout;
}

/** The command and its arguments; `ip netns exec` replaces itself by the command, so the process is its own. */
export function argvInside(netns: string | undefined, argv: readonly string[]): [string, string[]] {
  const [command, ...args] = netns === undefined ? argv : ["ip", "netns", "exec", netns, ...argv];
  if (command === undefined) throw new RangeError("an empty command");
  return [command, args];
}

/** The caller's environment; commands of the operating system live in `sbin` too, which a user's PATH lacks. */
export function environment(extra: Readonly<Record<string, string>> | undefined): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`, ...extra };
}

function failure(argv: readonly string[], netns: string | undefined, result: CommandResult): ZgateError {
  const where = netns === undefined ? "" : ` in namespace ${netns}`;
  const said = (result.stderr.trim() || result.stdout.trim()).slice(-2_000);
  return new ZgateError("ZG_HOST_COMMAND", `${argv.join(" ")}${where}: exit ${result.code}: ${said}`);
}
