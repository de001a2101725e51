/**
 * IP addresses and prefixes as 32-bit words (`FlowTarget` says how they stand), and their text.
 *
 * Parsing is for configuration and goes through `ip-num`; formatting is fast enough for an audit record a
 * flow. Neither is for every packet; `prefixContains` and `compareWords` are.
 */
import { IPv4, IPv6 } from "ip-num";
import { messageOf, ZgateError } from "../errors.ts";

export type IpVersion = 4 | 6;

/** Four unsigned big-endian words; an IPv4 address stands in the last, behind three zeros. */
export type AddressWords = readonly [number, number, number, number];

export interface Address {
  readonly version: IpVersion;
  readonly words: AddressWords;
}

/** The addresses whose first `length` bits are those of `words`. The bits behind them are 0. */
export interface Prefix {
  readonly version: IpVersion;
  readonly words: AddressWords;
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly length: number;
}

/** Bits of an address. */
export function addressBits(version: IpVersion): 32 | 128 {
  return version === 4 ? 32 : 128;
}

/**
 * Reads `10.1.2.3` or `2001:db8::1`. Decimal octets without leading zeros, no zone id.
 * Throws a `ZgateError` `ZG_CONFIG_INVALID` that names the text.
 */
export function parseAddress(text: string): Address {
  try {
    if (!text.includes(":")) return { version: 4, words: [0, 0, 0, Number(new IPv4(text).getValue())] };
    if (text.includes("%")) throw new Error("a zone id has no meaning in a tunnel");
    return { version: 6, words: wordsOf(new IPv6(text).getValue()) };
  } catch (cause) {
    const expected = "expected an IPv4 or IPv6 address such as 10.1.2.3 or 2001:db8::1";
    throw new ZgateError("ZG_CONFIG_INVALID", `"${text}" is no IP address (${messageOf(cause)}): ${expected}`, {
      cause,
    });
  }
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone, which is the prefix of that one address.
 * Throws a `ZgateError` `ZG_CONFIG_INVALID`: also for bits set behind the length, with the prefix that was
 * probably meant.
 */
export function parsePrefix(text: string): Prefix {
  const slash = text.indexOf("/");
  const { version, words } = parseAddress(slash < 0 ? text : text.slice(0, slash));
  const bits = addressBits(version);
  if (slash < 0) return { version, words, length: bits };
  const lengthText = text.slice(slash + 1);
  const length = /^(0|[1-9]\d{0,2})$/.test(lengthText) ? Number(lengthText) : -1;
  if (length < 0 || length > bits) {
    throw new ZgateError(
      "ZG_CONFIG_INVALID",
      `"${text}" has no valid prefix length: expected 0 to ${bits} behind the slash`,
    );
  }
  const prefix: Prefix = { version, words: maskWords(version, words, length), length };
  if (compareWords(prefix.words, words) !== 0) {
    const meant = formatPrefix(prefix);
    throw new ZgateError(
      "ZG_CONFIG_INVALID",
      `"${text}" has bits set behind its prefix length: did you mean ${meant}?`,
    );
  }
  return prefix;
}

/** The words with all bits behind the first `length` set to 0. */
export function maskWords(version: IpVersion, words: AddressWords, length: number): AddressWords {
  const skip = 128 - addressBits(version);
  return [
    (words[0] & maskOf(length + skip)) >>> 0,
    (words[1] & maskOf(length + skip - 32)) >>> 0,
    (words[2] & maskOf(length + skip - 64)) >>> 0,
    (words[3] & maskOf(length + skip - 96)) >>> 0,
  ];
}

/** The last address of a prefix. */
export function lastWords({ version, words, length }: Prefix): AddressWords {
  const skip = 128 - addressBits(version);
  return [
    (words[0] | ~maskOf(length + skip)) >>> 0,
    (words[1] | ~maskOf(length + skip - 32)) >>> 0,
    (words[2] | ~maskOf(length + skip - 64)) >>> 0,
    (words[3] | ~maskOf(length + skip - 96)) >>> 0,
  ];
}

/** The prefix holds the address in the words `w0` to `w3` of the family `version`. */
export function prefixContains(
  prefix: Prefix,
  version: IpVersion,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): boolean {
  if (prefix.version !== version) return false;
  const length = prefix.length + 128 - addressBits(version);
  const words = prefix.words;
  return (
    ((w3 ^ words[3]) & maskOf(length - 96)) === 0 &&
    ((w2 ^ words[2]) & maskOf(length - 64)) === 0 &&
    ((w1 ^ words[1]) & maskOf(length - 32)) === 0 &&
    ((w0 ^ words[0]) & maskOf(length)) === 0
  );
}

/** One of the two prefixes holds the other. */
export function prefixesOverlap(a: Prefix, b: Prefix): boolean {
  const [wide, narrow] = a.length <= b.length ? [a, b] : [b, a];
  return prefixContains(wide, narrow.version, ...narrow.words);
}

/** Less than, equal to or greater than 0, as `a` stands before, at or behind `b`. */
export function compareWords(a: AddressWords, b: AddressWords): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3];
}

/** `10.1.2.3`, or IPv6 as RFC 5952 writes it. */
export function formatAddress(version: IpVersion, w0: number, w1: number, w2: number, w3: number): string {
  if (version === 4) return `${w3 >>> 24}.${(w3 >>> 16) & 255}.${(w3 >>> 8) & 255}.${w3 & 255}`;
  const groups = [w0 >>> 16, w0 & 0xffff, w1 >>> 16, w1 & 0xffff, w2 >>> 16, w2 & 0xffff, w3 >>> 16, w3 & 0xffff];
  const [start, end] = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (end - start < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(end).join(":")}`;
}

/** `10.0.0.0/8`; always with its length. */
export function formatPrefix({ version, words, length }: Prefix): string {
  return `${formatAddress(version, ...words)}/${length}`;
}

/** The words of a 128-bit number. */
export function wordsOf(value: bigint): AddressWords {
  const word = (shift: bigint): number => Number((value >> shift) & 0xffff_ffffn);
  return [word(96n), word(64n), word(32n), word(0n)];
}

/** The 128-bit number of the words. */
export function valueOf([w0, w1, w2, w3]: AddressWords): bigint {
  return (BigInt(w0) << 96n) | (BigInt(w1) << 64n) | (BigInt(w2) << 32n) | BigInt(w3);
}

/** A mask of the first `bits` bits; under 0 is 0, over 32 is all. */
function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
}

/** The first of the longest runs of zeros in `groups`, as `[start, end)`. */
function longestZeroRun(groups: readonly number[]): [number, number] {
  let best: [number, number] = [0, 0];
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best[1] - best[0]) best = [start, end];
    start = Math.max(start, end);
  }
  return best;
}
