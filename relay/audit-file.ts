/**
 * An audit file that rotates by size:
 *
 *   audit.jsonl                  written now
 *   audit.jsonl.000000001234     rotated, named by its last record; the oldest ones are deleted
 *
 * Opening finds where the chain stands: in the file itself, or in the newest rotated one when a crash came
 * between rename and creation. A line that a crash tore is cut off, and the caller notes it.
 */
import { constants } from "node:fs";
import { type FileHandle, open, readdir, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ZgateError, messageOf } from "../shared/errors.ts";
import { type ChainHead, EMPTY_CHAIN } from "./audit-chain.ts";
import type { BodyOf } from "./audit-record.ts";
import type { AuditSink } from "./audit-sink.ts";
import { type AuditTail, readTail } from "./audit-tail.ts";
import { AUDIT_BATCH_BYTES } from "./constants.ts";

/** Width of the record number in a rotated file's name: names sort by it. */
const SEQ_DIGITS = 12;
const OWNER_ONLY = 0o600;
const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT;

export interface AuditFileOptions {
  readonly path: string;
  /** Rotate before the file would grow over this, bytes. */
  readonly maxBytes: number;
  /** Rotated files to keep. */
  readonly keep: number;
}

/** What the log has to know of the file that it continues. */
export interface AuditFileStart {
  readonly sink: AuditSink;
  readonly head: ChainHead;
  readonly before: Pick<BodyOf<"open">, "before" | "tornBytes" | "tornText">;
}

/** Opens or creates the file. Throws `ZG_AUDIT` when it cannot be written, or is not an audit log. */
export async function openAuditFile(options: AuditFileOptions): Promise<AuditFileStart> {
  const { path } = options;
  let file: FileHandle;
  try {
    file = await open(path, FLAGS, OWNER_ONLY);
  } catch (cause) {
    throw new ZgateError("ZG_AUDIT", `${path}: the audit log cannot be opened: ${messageOf(cause)}`, { cause });
  }
  try {
    if (!(await file.stat()).isFile())
      throw new ZgateError("ZG_AUDIT", `${path}: not a regular file; name another one`);
    const tail = await readTail(file, path);
    if (tail !== undefined && tail.tornBytes > 0) await file.truncate(tail.end);
    const size = tail?.end ?? 0;
    const continued = size > 0 ? tail : await newestRotated(path);
    return { sink: new FileSink(options, file, size), head: headOf(continued), before: endOf(continued, tail) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The rotated files of a log, oldest first. */
export async function rotatedFiles(path: string): Promise<string[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path));
  const ours = names.filter((name) => name.startsWith(prefix) && /^\d{12}$/.test(name.slice(prefix.length)));
  return ours.sort().map((name) => join(dirname(path), name));
}

async function newestRotated(path: string): Promise<AuditTail | undefined> {
  const newest = (await rotatedFiles(path)).at(-1);
  if (newest === undefined) return undefined;
  const file = await open(newest);
  try {
    return await readTail(file, newest);
  } finally {
    await file.close();
  }
}

function headOf(tail: AuditTail | undefined): ChainHead {
  return tail === undefined || tail.head.seq === 0 ? EMPTY_CHAIN : tail.head;
}

function endOf(continued: AuditTail | undefined, current: AuditTail | undefined): AuditFileStart["before"] {
  if (current !== undefined && current.tornBytes > 0) {
    return { before: "torn", tornBytes: current.tornBytes, tornText: current.torn.toString() };
  }
  if (continued === undefined) return { before: "new" };
  return { before: continued.clean ? "clean" : "unclean" };
}

class FileSink implements AuditSink {
  readonly #options: AuditFileOptions;
  #file: FileHandle;
  /** Bytes in the file. */
  #size: number;
  /** The file got its rotated name, and the new one is not there yet. */
  #renamed = false;

  constructor(options: AuditFileOptions, file: FileHandle, size: number) {
    this.#options = options;
    this.#file = file;
    this.#size = size;
  }

  get batchLimit(): number {
    return Math.min(AUDIT_BATCH_BYTES, this.#options.maxBytes - this.#size);
  }

  async write(bytes: Buffer): Promise<number> {
    const { bytesWritten } = await this.#file.write(bytes);
    this.#size += bytesWritten;
    return bytesWritten;
  }

  wantsRotation(bytes: number): boolean {
    return this.#renamed || (this.#size > 0 && this.#size + bytes > this.#options.maxBytes);
  }

  async rotate(lastSeq: number): Promise<void> {
    const { path } = this.#options;
    if (!this.#renamed) {
      await rename(path, `${path}.${String(lastSeq).padStart(SEQ_DIGITS, "0")}`);
      this.#renamed = true;
    }
    const next = await open(path, FLAGS | constants.O_EXCL, OWNER_ONLY);
    const old = this.#file;
    this.#file = next;
    this.#size = 0;
    this.#renamed = false;
    await old.sync();
    await old.close();
    const rotated = await rotatedFiles(path);
    for (const oldest of rotated.slice(0, Math.max(0, rotated.length - this.#options.keep))) await unlink(oldest);
  }

  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
