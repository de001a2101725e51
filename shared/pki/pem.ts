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
