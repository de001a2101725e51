/** Bytes on QUIC streams, as they are. */
import { WRITE_CLOSED } from "../../shared/native/quic.ts";
import type { QuicStream } from "../../shared/native/quic.ts";

/** What `writeAll` sends at a time, in bytes: what any stream takes. */
const PIECE_BYTES = 64 * 1024;

/** The bytes of a hexadecimal text with blanks, and whether it ends with `FIN`. */
export function fromHex(script: string): [bytes: Uint8Array, finish: boolean] {
  const finish = script.endsWith("FIN");
  const digits = (finish ? script.slice(0, -3) : script).replaceAll(/\s/g, "");
  return [Uint8Array.from(Buffer.from(digits, "hex")), finish];
}

interface Writable {
  write(slab: Uint8Array, from: number, to: number): number;
  onWritable: (() => void) | undefined;
}

/** Resolves when the stream took all bytes; false when its receiver closed it before that. */
export async function writePieces(stream: Writable, bytes: Uint8Array): Promise<boolean> {
  for (let at = 0; at < bytes.length;) {
    const taken = stream.write(bytes, at, Math.min(bytes.length, at + PIECE_BYTES));
    if (taken === WRITE_CLOSED) return false;
    if (taken === 0) {
      await new Promise<void>((resolve) => {
        stream.onWritable = resolve;
      });
    }
    at += taken;
  }
  return true;
}

/** `writePieces`, then the stream's end when `finish`. */
export async function writeAll(stream: QuicStream, bytes: Uint8Array, finish = false): Promise<boolean> {
  const open = await writePieces(stream, bytes);
  if (finish) stream.finish();
  return open;
}
