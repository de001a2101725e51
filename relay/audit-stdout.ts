/**
 * Standard output as an audit sink that never blocks the event loop, whatever it is connected to:
 *
 *   pipe (docker, a shell) ─▶ opened anew through /proc ─▶ non-blocking socket
 *   socket (journald)      ─▶ non-blocking socket
 *   file, terminal, null   ─▶ write(2) on a thread of libuv's pool
 *
 * O_NONBLOCK is a flag of the open file description, which other processes and standard error may share;
 * a pipe that is opened anew has one of its own.
 */
import { constants, fstatSync, openSync, write } from "node:fs";
import { Socket } from "node:net";
import { promisify } from "node:util";
import type { AuditSink } from "./audit-sink.ts";
import { AUDIT_BATCH_BYTES } from "./constants.ts";

const STDOUT = 1;
const writeFd = promisify(write);

export function openStdout(): AuditSink {
  const stat = fstatSync(STDOUT);
  if (stat.isSocket()) return new SocketSink(STDOUT);
  if (!stat.isFIFO()) return new DescriptorSink();
  try {
    return new SocketSink(openSync(`/proc/self/fd/${STDOUT}`, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch {
    // The pipe belongs to another user. A write that waits then holds a thread of the pool, and nothing else.
    return new DescriptorSink();
  }
}

/** Neither rotates, and neither has a disk of its own to sync. */
abstract class StdoutSink implements AuditSink {
  readonly batchLimit = AUDIT_BATCH_BYTES;

  abstract write(bytes: Buffer): Promise<number>;
  abstract close(): Promise<void>;

  wantsRotation(): boolean {
    return false;
  }

  async rotate(): Promise<void> {}
  async sync(): Promise<void> {}
}

class SocketSink extends StdoutSink {
  readonly #socket: Socket;

  constructor(fd: number) {
    super();
    this.#socket = new Socket({ fd, readable: false, writable: true });
    // The write that failed rejects; without a handler the event would end the process.
    this.#socket.on("error", () => {});
  }

  write(bytes: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      // A socket that failed stays closed: every later write fails for the reason of the first.
      if (this.#socket.errored !== null) reject(this.#socket.errored);
      else this.#socket.write(bytes, (error) => (error ? reject(error) : resolve(bytes.length)));
    });
  }

  async close(): Promise<void> {
    this.#socket.destroy();
  }
}

class DescriptorSink extends StdoutSink {
  async write(bytes: Buffer): Promise<number> {
    return (await writeFd(STDOUT, bytes)).bytesWritten;
  }

  async close(): Promise<void> {}
}
