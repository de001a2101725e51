/**
 * Ranges of addresses, as ROUTE_ADVERTISEMENT carries them (RFC 9484 section 4.7.3), and the prefixes that
 * a routing table wants instead.
 */
import { addressBits, compareWords, valueOf, wordsOf } from "./address.ts";
import type { AddressWords, IpVersion, Prefix } from "./address.ts";

/** All addresses from `start` to `end`, both included; `start` is not behind `end`. */
export interface AddressRange {
  readonly version: IpVersion;
  readonly start: AddressWords;
  readonly end: AddressWords;
}

/** The fewest prefixes that hold exactly the addresses of the range, in order: at most 62 (IPv4) or 254 (IPv6). */
export function rangePrefixes(range: AddressRange): Prefix[] {
  if (compareWords(range.start, range.end) > 0) throw new RangeError("an address range starts behind its end");
  const bits = BigInt(addressBits(range.version));
  const end = valueOf(range.end);
  const prefixes: Prefix[] = [];
  for (let start = valueOf(range.start); start <= end;) {
    let host = 0n;
    while (host < bits && (start & (1n << host)) === 0n && start + (1n << (host + 1n)) - 1n <= end) host++;
    prefixes.push({ version: range.version, words: wordsOf(start), length: Number(bits - host) });
    start += 1n << host;
  }
  return prefixes;
}
