/** PEM (RFC 7468): whole blocks with their markers. */
import { ZgateError } from "../errors.ts";

/**
 * The blocks of a label in their order; what stands between blocks is ignored. Throws `ZG_TLS_MATERIAL` when one is cut
 * off: the file is still being written.
 */
export function pemBlocks(file: string, pem: string, label: string): readonly string[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: string[] = [];
  for (let from = pem.indexOf(begin); from >= 0; from = pem.indexOf(begin, from)) {
    const to = pem.indexOf(end, from);
    if (to < 0) throw new ZgateError("ZG_TLS_MATERIAL", `${file}: the PEM block ${label} in it has no end`);
    blocks.push(pem.slice(from, to + end.length));
    from = to + end.length;
  }
  return blocks;
}

/** The bytes of one block of `pemBlocks`. What is not base64 in it is passed over: the bytes are parsed anyway. */
export function pemBytes(block: string): Uint8Array<ArrayBuffer> {
  const from = block.indexOf("\n") + 1;
  const to = block.lastIndexOf("\n-----END ");
  return Uint8Array.from(Buffer.from(block.slice(from, Math.max(from, to)), "base64"));
}

/** A block with lines of 64 characters (RFC 7468 section 2). */
export function pemOf(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
