/** A text file read whole, up to a limit, as strict UTF-8: the shell under the YAML parser. */
import { open } from "node:fs/promises";
import { messageOf, ZgateError } from "../errors.ts";

/**
 * Reads at most `maxBytes`, whatever size the file claims to have (a pipe and `/proc` claim none).
 * Throws `ZG_FILE_UNREADABLE` when it cannot be read, is larger, or is not UTF-8.
 */
export async function readTextFile(path: string, maxBytes: number): Promise<string> {
  let bytes: Uint8Array;
  try {
    await using file = await open(path, "r");
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) {
      if (!(chunk instanceof Uint8Array)) continue;
      chunks.push(chunk);
      length += chunk.length;
    }
    bytes = Buffer.concat(chunks, length);
  } catch (error) {
    throw new ZgateError("ZG_FILE_UNREADABLE", `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  if (bytes.length > maxBytes) {
    throw new ZgateError("ZG_FILE_UNREADABLE", `${path} is larger than ${maxBytes} bytes, the most that is read`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ZgateError("ZG_FILE_UNREADABLE", `${path} is not UTF-8 text`, { cause: error });
  }
}
