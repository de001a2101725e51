/** The lines of an audit file, as bytes, in bounded memory: the hash chain is over bytes, not over text. */
import { createReadStream } from "node:fs";
import { ZgateError, messageOf } from "../shared/errors.ts";
import { AUDIT_LINE_BYTES } from "./constants.ts";

export interface FileLine {
  readonly file: string;
  /** From 1. */
  readonly number: number;
  /** Without its line feed; at most `AUDIT_LINE_BYTES` of it. Valid until the next line is asked for. */
  readonly bytes: Buffer;
  /** `torn`: the file ends without a line feed. `too-long`: there is more of it than `bytes` has. */
  readonly state: "whole" | "torn" | "too-long";
}

const LINE_FEED = 0x0a;

/** Throws `ZG_FILE_UNREADABLE`. */
export async function* readLines(file: string): AsyncGenerator<FileLine> {
  const stream = createReadStream(file);
  try {
    yield* splitLines(file, stream);
  } catch (cause) {
    if (cause instanceof ZgateError) throw cause;
    throw new ZgateError("ZG_FILE_UNREADABLE", `${file}: ${messageOf(cause)}`, { cause });
  } finally {
    stream.destroy();
  }
}

/** The lines of chunks, wherever they are cut. */
export async function* splitLines(file: string, chunks: AsyncIterable<Buffer>): AsyncGenerator<FileLine> {
  let number = 1;
  let carry: Buffer[] = [];
  let carried = 0;
  let tooLong = false;
  const keep = (piece: Buffer): void => {
    const room = AUDIT_LINE_BYTES - carried;
    if (piece.length > room) tooLong = true;
    if (room === 0 || piece.length === 0) return;
    carry.push(piece.subarray(0, room));
    carried += Math.min(room, piece.length);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      keep(chunk.subarray(start, end));
      yield { file, number: number++, bytes: Buffer.concat(carry), state: tooLong ? "too-long" : "whole" };
      carry = [];
      carried = 0;
      tooLong = false;
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (carried > 0) yield { file, number, bytes: Buffer.concat(carry), state: "torn" };
}
