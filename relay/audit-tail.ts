/**
 * How an audit file ended, so that its chain can go on: the last whole line, and what stands after it.
 */
import type { FileHandle } from "node:fs/promises";
import { ZgateError } from "../shared/errors.ts";
import { type ChainHead, lineHash } from "./audit-chain.ts";
import { parseAuditLine } from "./audit-record.ts";
import { AUDIT_LINE_BYTES } from "./constants.ts";

export interface AuditTail {
  readonly head: ChainHead;
  /** The last record is a `close`: the log was ended in order. */
  readonly clean: boolean;
  /** Where the last whole line ends, bytes from the beginning. */
  readonly end: number;
  /** What stands behind it: a line that was being written at the time of a crash. */
  readonly torn: Buffer;
  readonly tornBytes: number;
}

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 64 * 1024;
/** Of a torn line so much is kept for the record, bytes. */
const TORN_KEPT_BYTES = 512;

/**
 * Reads the end of a file. Undefined when it has no whole line and nothing torn. `head.seq` is 0 when there
 * is only a torn line. Throws `ZG_AUDIT` when the last line is no record: the file is something else.
 */
export async function readTail(file: FileHandle, path: string): Promise<AuditTail | undefined> {
  const { size } = await file.stat();
  if (size === 0) return undefined;
  const end = (await lastLineFeed(file, size)) + 1;
  const torn = await readRange(file, end, Math.min(size, end + TORN_KEPT_BYTES));
  const rest = { end, torn, tornBytes: size - end };
  if (end === 0) return { head: { seq: 0, hash: "" }, clean: false, ...rest };

  const start = (await lastLineFeed(file, end - 1)) + 1;
  if (end - start > AUDIT_LINE_BYTES) throw notOurs(path, "its last line is too long");
  const line = await readRange(file, start, end - 1);
  const parsed = parseAuditLine(line.toString());
  if (!parsed.ok) throw notOurs(path, `its last line is no record (${parsed.problem})`);
  return {
    head: { seq: parsed.record.seq, hash: lineHash(line) },
    clean: parsed.record.type === "close",
    ...rest,
  };
}

/** The position of the last line feed in the first `to` bytes; -1 when there is none. */
async function lastLineFeed(file: FileHandle, to: number): Promise<number> {
  for (let end = to; end > 0; end -= CHUNK_BYTES) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const found = (await readRange(file, start, end)).lastIndexOf(LINE_FEED);
    if (found >= 0) return start + found;
  }
  return -1;
}

async function readRange(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, from + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function notOurs(path: string, why: string): ZgateError {
  return new ZgateError("ZG_AUDIT", `${path}: ${why}; move it away, or name another audit file`);
}
