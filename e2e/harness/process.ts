/**
 * Services under test: processes that run until they are stopped, inside a network namespace or not, with
 * their output captured and bounded.
 *
 * Stages: spawn → capture → wait for output, a condition, or the exit → stop. Whatever ends the run kills
 * them (`cleanup.ts`).
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";

import { ZgateError } from "../../shared/errors.ts";
import { onProcessEnd } from "./cleanup.ts";
import { argvInside, environment } from "./command.ts";

/** Characters kept of each output stream, the newest: a debug log must not fill memory. */
const KEPT_OUTPUT_CHARS = 4 * 1024 * 1024;
/** How much of the output an error message shows, in characters. */
const SHOWN_OUTPUT_CHARS = 2_000;
/** How long `waitFor…` waits unless its caller says otherwise, in milliseconds: a busy machine starts Node in seconds. */
const WAIT_TIMEOUT_MS = 20_000;
/**
 * How long `stop` waits after SIGTERM before it sends SIGKILL, in milliseconds: a relay gives up each of its steps
 * after two seconds, and one that was killed leaves its device and its rules to the test behind it.
 */
const STOP_GRACE_MS = 20_000;
/** Pause between two looks at a condition that announces nothing, in milliseconds. */
const PROBE_INTERVAL_MS = 5;

export interface ServiceOptions {
  /** Name of the network namespace to run in; the caller's own when absent. */
  readonly netns?: string;
  /** Added to the caller's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that runs until it is stopped. `pid` is the command's own also inside a namespace. */
export class Service {
  readonly argv: readonly string[];
  readonly pid: number;
  /** Resolves when the process has ended and all its output has been read. */
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #forget: () => void;
  #stdout = "";
  #stderr = "";
  #status: ExitStatus | undefined;
  #watchers = new Set<() => void>();

  /** Throws ZG_HOST_COMMAND when the command cannot be started. */
  constructor(argv: readonly string[], options: ServiceOptions = {}) {
    const [command, args] = argvInside(options.netns, argv);
    this.argv = argv;
    this.#child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment(options.env),
      cwd: options.cwd,
    });
    const child = this.#child;
    if (child.pid === undefined) {
      child.on("error", () => {}); // Repeats what is thrown here.
      throw new ZgateError("ZG_HOST_COMMAND", `${argv.join(" ")}: cannot be started; is ${command} installed?`);
    }
    this.pid = child.pid;
    this.#forget = onProcessEnd(() => void child.kill("SIGKILL"));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-KEPT_OUTPUT_CHARS);
      this.#notify();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-KEPT_OUTPUT_CHARS);
      this.#notify();
    });
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#status = { code, signal };
        this.#forget();
        this.#notify();
        resolve(this.#status);
      });
    });
  }

  /** Standard output so far (the newest 4 Mi characters). */
  get stdout(): string {
    return this.#stdout;
  }

  /** Standard error so far (the newest 4 Mi characters). */
  get stderr(): string {
    return this.#stderr;
  }

  /** How it ended; undefined while it runs. */
  get status(): ExitStatus | undefined {
    return this.#status;
  }

  /**
   * The first match of `pattern` in either output, in what has come already or is still to come. Throws
   * ZG_HOST_COMMAND, with the end of the output, when the process ends or time runs out before that.
   */
  async waitForOutput(pattern: RegExp, timeoutMs: number = WAIT_TIMEOUT_MS): Promise<RegExpMatchArray> {
    let found: RegExpMatchArray | null = null;
    const look = (): boolean => {
      found = this.#stdout.match(pattern) ?? this.#stderr.match(pattern);
      return found !== null || this.#status !== undefined;
    };
    await this.#waitUntil(look, timeoutMs);
    if (found === null) throw this.failure(`did not print ${pattern} within ${timeoutMs} ms`);
    return found;
  }

  /** How the process ended; ZG_HOST_COMMAND when it still runs after `timeoutMs`. */
  async waitForExit(timeoutMs: number = WAIT_TIMEOUT_MS): Promise<ExitStatus> {
    await this.#waitUntil(() => this.#status !== undefined, timeoutMs);
    if (this.#status === undefined) throw this.failure(`did not end within ${timeoutMs} ms`);
    return this.#status;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGTERM, then SIGKILL when that did not end it within `graceMs`. */
  async stop(graceMs: number = STOP_GRACE_MS): Promise<ExitStatus> {
    if (this.#status !== undefined) return this.#status;
    this.signal("SIGTERM");
    await this.#waitUntil(() => this.#status !== undefined, graceMs);
    if (this.#status === undefined) this.signal("SIGKILL");
    return this.exited;
  }

  /** An error about this process that shows how it ended and what it said last. */
  failure(what: string): ZgateError {
    const end = this.#status === undefined ? "still running" : `ended with ${this.#status.signal ?? this.#status.code}`;
    const said = `${this.#stdout.slice(-SHOWN_OUTPUT_CHARS)}${this.#stderr.slice(-SHOWN_OUTPUT_CHARS)}`;
    return new ZgateError("ZG_HOST_COMMAND", `${this.argv.join(" ")} ${what} (${end})\n${said}`);
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #waitUntil(reached: () => boolean, timeoutMs: number): Promise<void> {
    if (reached()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (reached()) end();
      };
      const timer = setTimeout(end, timeoutMs);
      this.#watchers.add(look);
    });
  }
}

/**
 * Looks again and again until `probe` gives something other than undefined or false, and returns it. For
 * conditions that announce nothing: a socket that listens, a route that is gone. Throws ZG_HOST_COMMAND with
 * `what` (and the last error that `probe` threw) when time runs out.
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs: number = WAIT_TIMEOUT_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const result = await probe();
      if (result !== undefined && result !== false) return result;
    } catch (thrown) {
      last = thrown;
    }
    if (performance.now() > deadline) {
      throw new ZgateError("ZG_HOST_COMMAND", `${what}: not within ${timeoutMs} ms`, { cause: last });
    }
    await pause(PROBE_INTERVAL_MS);
  }
}
