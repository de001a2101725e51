/** File content that both ends can make: a keystream, so that no two stretches of it are alike. */
import { createCipheriv, createHash } from "node:crypto";

const KEY = Buffer.alloc(16, "zgate");
/** Bytes made at a time. */
const PIECE_BYTES = 256 * 1024;

/** `bytes` bytes of content, in pieces; the same for the same size. */
export function* content(bytes: number): Generator<Buffer> {
  const cipher = createCipheriv("aes-128-ctr", KEY, Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    yield cipher.update(left < PIECE_BYTES ? zeros.subarray(0, left) : zeros);
  }
}

/** Lower-case hexadecimal SHA-256 of `content(bytes)`. */
export function contentSha256(bytes: number): string {
  const hash = createHash("sha256");
  for (const piece of content(bytes)) hash.update(piece);
  return hash.digest("hex");
}
