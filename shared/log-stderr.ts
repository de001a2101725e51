/**
 * Standard error as the output of the log, written at once (a line that a crash swallows would be the one that is
 * needed) and yet without waiting for its reader:
 *
 *   pipe, terminal ─▶ opened anew through /proc: O_NONBLOCK is a flag of the open file description, and the
 *                     original one may be shared with other processes
 *   socket         ─▶ cannot be opened anew (journald's is the process's own): made non-blocking as it is
 *   file, null     ─▶ as it is: only a disk can keep it waiting
 */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { isatty } from "node:tty";
import type { LogOutput } from "./log-writer.ts";
import { LogWriter } from "./log-writer.ts";

const STDERR = 2;
/** How long the end of the process waits for a reader of what is left, milliseconds: a live one takes it in less. */
const EXIT_WAIT_MS = 250;
const EXIT_POLL_MS = 5;

let writer: LogWriter | undefined;

/** That of this process: lines of all its logs come out in their order. */
export function stderrLog(): LogWriter {
  writer ??= openStderrLog();
  return writer;
}

function openStderrLog(): LogWriter {
  const log = new LogWriter(openOutput(), (delayMs, task) => void setTimeout(task, delayMs).unref());
  process.once("exit", () => finish(log));
  return log;
}

/** With an uncaught error, too, `exit` is the last event. */
function finish(log: LogWriter): void {
  const until = performance.now() + EXIT_WAIT_MS;
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (!log.flush() && performance.now() < until) Atomics.wait(never, 0, 0, EXIT_POLL_MS);
}

function openOutput(): LogOutput {
  const stat = fstatSync(STDERR);
  if (stat.isSocket()) return new Descriptor(STDERR, nonBlocking(STDERR));
  if (!stat.isFIFO() && !isatty(STDERR)) return new Descriptor(STDERR);
  try {
    return new Descriptor(
      openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
    );
  } catch {
    // It belongs to another user, and so does the other end.
    return stat.isFIFO() ? new Descriptor(STDERR, nonBlocking(STDERR)) : new Descriptor(STDERR);
  }
}

/** libuv sets O_NONBLOCK on a pipe or socket that it opens, which is all that this one is for. */
function nonBlocking(fd: number): Socket {
  return new Socket({ fd, readable: false, writable: true });
}

class Descriptor implements LogOutput {
  readonly #fd: number;
  /** Closes the descriptor when it is collected. */
  readonly #holder: Socket | undefined;

  constructor(fd: number, holder?: Socket) {
    this.#fd = fd;
    this.#holder = holder;
  }

  offer(bytes: Buffer): number {
    if (this.#holder?.destroyed === true) return 0;
    try {
      return writeSync(this.#fd, bytes);
    } catch {
      // EAGAIN: the reader is slow. EPIPE, ENOSPC: nobody is there who could be told.
      return 0;
    }
  }
}
