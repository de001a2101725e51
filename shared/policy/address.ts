/**
 * IP addresses and prefixes: text → four 32-bit words → text.
 *
 * Written by hand because a policy may hold a million of them; `address.test.ts` holds it against `ip-num`.
 */
import { Complaint, quoted } from "./complaint.ts";

/**
 * `length` leading bits of an address. The words are big-endian and unsigned; an IPv4 address stands in `w3`
 * and the others are 0, as in `FlowTarget`.
 */
export interface Prefix {
  readonly version: 4 | 6;
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  /** 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly length: number;
}

/** Every IPv4 and every IPv6 address. */
export const ANY_PREFIXES: readonly Prefix[] = [
  { version: 4, w0: 0, w1: 0, w2: 0, w3: 0, length: 0 },
  { version: 6, w0: 0, w1: 0, w2: 0, w3: 0, length: 0 },
];

const EXAMPLES = "an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8 or 2001:db8::/32";
const PREFIX_LENGTH = /^(?:0|[1-9][0-9]{0,2})$/;
/** IPv6 addresses that stand for IPv4 ones: ::ffff:0:0/96 (RFC 4291 section 2.5.5.2). */
const MAPPED_WORD2 = 0xffff;
const MAPPED_LENGTH = 96;

/** Reads `10.0.0.0/8`, `2001:db8::/32` or a single address. Bits after the prefix must be zero. */
export function parsePrefix(text: string): Prefix | Complaint {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address instanceof Complaint) return address;
  if (slash < 0) return address;
  const lengthText = text.slice(slash + 1);
  const length = Number(lengthText);
  if (!PREFIX_LENGTH.test(lengthText) || length > address.length) {
    return new Complaint(`${quoted(text)} has no prefix length from 0 to ${address.length} after its slash`);
  }
  const { version, w0, w1, w2, w3 } = address;
  if (version === 6 && w0 === 0 && w1 === 0 && w2 === MAPPED_WORD2 && length >= MAPPED_LENGTH) {
    return mappedComplaint(text, w3, length - MAPPED_LENGTH);
  }
  const masked = maskPrefix({ version, w0, w1, w2, w3, length });
  if (masked.w0 !== w0 || masked.w1 !== w1 || masked.w2 !== w2 || masked.w3 !== w3) {
    return new Complaint(
      `${quoted(text)} has bits set after its prefix`,
      `write ${formatPrefix(masked)} for the network or ${formatPrefix(address)} for the one address`,
    );
  }
  return masked;
}

/** Reads one address; the result's `length` is 32 or 128. */
export function parseAddress(text: string): Prefix | Complaint {
  if (!text.includes(":")) {
    const word = ipv4Word(text);
    if (word !== undefined) return { version: 4, w0: 0, w1: 0, w2: 0, w3: word, length: 32 };
    if (/^[0-9]+(\.[0-9]+){3}$/.test(text) && /(^|\.)0[0-9]/.test(text)) {
      return new Complaint(`${quoted(text)} has a number with a leading zero, which some programs read as octal`);
    }
    return new Complaint(`${quoted(text)} is not an IP address`, `expected ${EXAMPLES}`);
  }
  const words = ipv6Words(text);
  if (words === undefined) return new Complaint(`${quoted(text)} is not an IPv6 address`, `expected ${EXAMPLES}`);
  const [w0, w1, w2, w3] = words;
  return { version: 6, w0, w1, w2, w3, length: 128 };
}

function mappedComplaint(text: string, word: number, length: number): Complaint {
  const ipv4 = maskPrefix({ version: 4, w0: 0, w1: 0, w2: 0, w3: word, length });
  return new Complaint(
    `${quoted(text)} is an IPv4-mapped IPv6 prefix, which no packet on the wire carries`,
    `write ${formatPrefix(ipv4)}`,
  );
}

const DOT = 46;
const ZERO = 48;

/** Dotted decimal, four numbers from 0 to 255 without leading zeros (RFC 6943 section 3.1.1, the strict form). */
function ipv4Word(text: string): number | undefined {
  if (text.length > 15) return undefined;
  let word = 0;
  let octets = 0;
  let octet = 0;
  let digits = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? DOT : text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || octets === 4) return undefined;
      word = word * 256 + octet;
      octets++;
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || (digits > 0 && octet === 0)) return undefined;
    octet = octet * 10 + digit;
    if (octet > 255) return undefined;
    digits++;
  }
  return octets === 4 ? word : undefined;
}

const HEX_GROUP = /^[0-9a-fA-F]{1,4}$/;
/** The longest way to write an address: eight groups of four, or an embedded IPv4 address. */
const MAX_IPV6_TEXT = 45;

/** RFC 4291 section 2.2: eight hexadecimal groups, one `::`, the last two possibly as dotted decimal. */
function ipv6Words(text: string): readonly [number, number, number, number] | undefined {
  if (text.length > MAX_IPV6_TEXT) return undefined;
  const gap = text.indexOf("::");
  if (gap < 0) {
    const groups = ipv6Groups(text);
    return groups?.length === 8 ? wordsOf(groups) : undefined;
  }
  const head = ipv6Groups(text.slice(0, gap));
  const tail = ipv6Groups(text.slice(gap + 2));
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
  if (text.slice(0, gap).includes(".")) return undefined;
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return wordsOf([...head, ...zeros, ...tail]);
}

function ipv6Groups(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [index, part] of parts.entries()) {
    if (HEX_GROUP.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const word = index === parts.length - 1 ? ipv4Word(part) : undefined;
    if (word === undefined) return undefined;
    groups.push(word >>> 16, word & 0xffff);
  }
  return groups;
}

function wordsOf(groups: readonly number[]): readonly [number, number, number, number] {
  const word = (at: number): number => (((groups[at] ?? 0) << 16) | (groups[at + 1] ?? 0)) >>> 0;
  return [word(0), word(2), word(4), word(6)];
}

/** The same prefix with every bit after `length` cleared. */
export function maskPrefix(prefix: Prefix): Prefix {
  const { version, length } = prefix;
  if (version === 4) return { version, w0: 0, w1: 0, w2: 0, w3: maskWord(prefix.w3, length), length };
  return {
    version,
    w0: maskWord(prefix.w0, length),
    w1: maskWord(prefix.w1, length - 32),
    w2: maskWord(prefix.w2, length - 64),
    w3: maskWord(prefix.w3, length - 96),
    length,
  };
}

function maskWord(word: number, bits: number): number {
  if (bits <= 0) return 0;
  if (bits >= 32) return word;
  return (word & (-1 << (32 - bits))) >>> 0;
}

/** `10.0.0.0/8`; a single address without its `/32` or `/128`. IPv6 as RFC 5952 wants it. */
export function formatPrefix(prefix: Prefix): string {
  const whole = prefix.version === 4 ? 32 : 128;
  const address = formatAddress(prefix.version, prefix.w0, prefix.w1, prefix.w2, prefix.w3);
  return prefix.length === whole ? address : `${address}/${prefix.length}`;
}

export function formatAddress(version: 4 | 6, w0: number, w1: number, w2: number, w3: number): string {
  if (version === 4) return `${w3 >>> 24}.${(w3 >>> 16) & 255}.${(w3 >>> 8) & 255}.${w3 & 255}`;
  const groups = [w0, w1, w2, w3].flatMap((word) => [word >>> 16, word & 0xffff]);
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** The first of the longest runs of zero groups (RFC 5952 section 4.2.3). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let at = 0; at <= groups.length; at++) {
    if (at < groups.length && groups[at] === 0) continue;
    if (at - start > best.length) best = { start, length: at - start };
    start = at + 1;
  }
  return best;
}
