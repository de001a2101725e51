/** The files of one audit log in the order in which they were written, whatever their names say. */
import { type FileLine, readLines } from "../../relay/audit-lines.ts";
import { parseAuditLine } from "../../relay/audit-record.ts";

interface Beginning {
  readonly file: string;
  /** Of the first record; the largest number when the first line is none. */
  readonly seq: number;
  readonly time: string;
}

/** Every line of the files. Throws `ZG_FILE_UNREADABLE`. */
export async function* readLog(files: readonly string[]): AsyncGenerator<FileLine> {
  for (const file of await inOrder(files)) yield* readLines(file);
}

/** By the number of their first record; logs that begin with the same number, by its time. */
async function inOrder(files: readonly string[]): Promise<string[]> {
  const beginnings = await Promise.all([...new Set(files)].map(beginningOf));
  return beginnings
    .sort((one, other) => one.seq - other.seq || one.time.localeCompare(other.time))
    .map(({ file }) => file);
}

async function beginningOf(file: string): Promise<Beginning> {
  for await (const line of readLines(file)) {
    const parsed = parseAuditLine(line.bytes.toString());
    if (parsed.ok) return { file, seq: parsed.record.seq, time: parsed.record.time };
    break;
  }
  return { file, seq: Number.MAX_SAFE_INTEGER, time: "" };
}
