/**
 * The kinds of option values: text (of a flag, a variable, or a YAML scalar) → a checked value.
 *
 * Every kind says what it expects in words that finish the sentence "expected …".
 */
import { isIPv4, isIPv6, SocketAddress } from "node:net";
import { IPv4CidrRange, IPv6CidrRange } from "ip-num";
import { z } from "zod";
import { durationMs, tunMtu } from "../units.ts";
import type { DurationMs, TunMtu } from "../units.ts";
import {
  MAX_DURATION_MS,
  MAX_INTERFACE_NAME,
  MAX_PATH_LENGTH,
  MAX_REPEATS,
  MAX_TUN_MTU,
  MIN_TUN_MTU,
} from "./constants.ts";
import { isAddress, isDnsName, isLoopback, parseHostPort } from "./host-port.ts";
import type { HostPort } from "./host-port.ts";

/** Thrown by a kind's reader when it can say more than what it expects. */
class BadValue extends Error {}

type ValueSchema<Value> = z.ZodType<Value, string>;

/** `read` gives undefined when `text` is not what is `expected`. */
function value<Value>(expected: string, read: (text: string) => Value | undefined): ValueSchema<Value> {
  return z.string().transform((text, context): Value => {
    let reason = `expected ${expected}, got ${JSON.stringify(text)}`;
    try {
      const result = read(text);
      if (result !== undefined) return result;
    } catch (error) {
      if (!(error instanceof BadValue)) throw error;
      reason = error.message;
    }
    context.addIssue({ code: "custom", message: reason });
    return z.NEVER;
  });
}

/** `on` or `off`; `true` and `false` are understood as well. */
export const onOff = value("on or off", (text) => {
  if (text === "on" || text === "true") return true;
  return text === "off" || text === "false" ? false : undefined;
});

export function choice<const Choice extends string>(choices: readonly Choice[]): ValueSchema<Choice> {
  const listed = `${choices.slice(0, -1).join(", ")} or ${choices.at(-1) ?? ""}`;
  return value(listed, (text) => choices.find((known) => known === text));
}

export function count(min: number, max: number): ValueSchema<number> {
  return value(`a whole number from ${min} to ${max}`, (text) => wholeNumber(text, min, max));
}

/** A number above which something happens, or `always`, which is 0. */
export function countOrAlways(max: number): ValueSchema<number> {
  return value(`always, or a whole number from 0 to ${max}`, (text) =>
    text === "always" ? 0 : wholeNumber(text, 0, max),
  );
}

export const mtu: ValueSchema<TunMtu> = value(`a number of bytes from ${MIN_TUN_MTU} to ${MAX_TUN_MTU}`, (text) => {
  const bytes = wholeNumber(text, MIN_TUN_MTU, MAX_TUN_MTU);
  return bytes === undefined ? undefined : tunMtu(bytes);
});

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `250ms`, `30s`, `5m`, `1h`; a bare number is seconds. */
export function duration(min: DurationMs): ValueSchema<DurationMs> {
  return value(`a duration such as 500ms, 30s, 5m or 1h, from ${min}ms to 24h`, (text) => {
    const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(text);
    if (match === null) return undefined;
    const milliseconds = Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? "s"] ?? 0));
    return milliseconds >= min && milliseconds <= MAX_DURATION_MS ? durationMs(milliseconds) : undefined;
  });
}

/** A path as it is given; one from a configuration file is taken from that file's folder. */
export const path = value("the path of a file", (text) =>
  text !== "" && text.length <= MAX_PATH_LENGTH && !text.includes("\0") ? text : undefined,
);

/** What the kernel takes as the name of a new interface (dev_valid_name, net/core/dev.c). */
export const interfaceName = value(
  `an interface name of at most ${MAX_INTERFACE_NAME} letters, digits, - _ or .`,
  (text) =>
    text.length <= MAX_INTERFACE_NAME && /^[\w.-]+$/.test(text) && text !== "." && text !== ".." ? text : undefined,
);

export const dnsName = value("a DNS name or an IP address", (text) =>
  isDnsName(text) || isIPv4(text) || isIPv6(text) ? text.toLowerCase() : undefined,
);

/** A local address to bind. */
export const bindAddress: ValueSchema<HostPort> = value(
  "ADDRESS:PORT with an IP address, such as 0.0.0.0:4433 or [::]:4433",
  readBindAddress,
);

function readBindAddress(text: string): HostPort | undefined {
  const parsed = parseHostPort(text);
  return parsed !== undefined && isAddress(parsed) ? parsed : undefined;
}

/** A local address to bind, or `off`, which is null. */
export const bindAddressOrOff: ValueSchema<HostPort | null> = value(
  "off, or ADDRESS:PORT with an IP address, such as 0.0.0.0:4433",
  (text) => (text === "off" ? null : readBindAddress(text)),
);

/** A local address that other machines cannot reach, or `off`, which is null. */
export const loopbackAddress: ValueSchema<HostPort | null> = value(
  "off, or ADDRESS:PORT with a loopback address, such as 127.0.0.1:9443",
  (text) => {
    if (text === "off") return null;
    const parsed = parseHostPort(text);
    return parsed !== undefined && isLoopback(parsed) ? parsed : undefined;
  },
);

/** A remote host; without a port it is `defaultPort`. */
export function remoteAddress(defaultPort: number): ValueSchema<HostPort> {
  return value(`HOST:PORT, such as relay.example:${defaultPort}`, (text) => readRemoteAddress(text, defaultPort));
}

/** As `remoteAddress`, or `on`, or `off`, which is null. */
export function remoteAddressOrOnOff(defaultPort: number): ValueSchema<HostPort | "on" | null> {
  return value(`on, off, or HOST:PORT, such as relay.example:${defaultPort}`, (text) => {
    if (text === "on") return text;
    return text === "off" ? null : readRemoteAddress(text, defaultPort);
  });
}

/** An IPv4 prefix in canonical text, its length in `[min, max]`. */
export function prefix4(min: number, max: number): ValueSchema<string> {
  const expected = `an IPv4 prefix such as 10.77.0.0/16, from /${min} to /${max}`;
  return value(expected, (text) => readPrefix(text, 4, min, max));
}

export function prefix6(min: number, max: number): ValueSchema<string> {
  const expected = `an IPv6 prefix such as fd77:7a67::/64, from /${min} to /${max}`;
  return value(expected, (text) => readPrefix(text, 6, min, max));
}

/** `default` (all of IPv4 and IPv6), a prefix, or an address, which is a prefix of one. */
export const route = value("default, or a prefix such as 10.50.0.0/24 or fd00:50::/48", (text) => {
  if (text === "default") return text;
  const withLength = text.includes("/") ? text : `${text}/${isIPv4(text) ? 32 : 128}`;
  return readPrefix(withLength, 4, 0, 32) ?? readPrefix(withLength, 6, 0, 128);
});

function readRemoteAddress(text: string, defaultPort: number): HostPort | undefined {
  const parsed = parseHostPort(text, defaultPort);
  return parsed === undefined || parsed.port === 0 ? undefined : parsed;
}

/** A value that may be given several times; in a variable, its parts are separated by commas. */
export function list<Value>(item: ValueSchema<Value>): z.ZodReadonly<z.ZodArray<ValueSchema<Value>>> {
  return z.array(item).max(MAX_REPEATS, `expected at most ${MAX_REPEATS} values`).readonly();
}

function wholeNumber(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  const number = Number(text);
  return number >= min && number <= max ? number : undefined;
}

function readPrefix(text: string, version: 4 | 6, min: number, max: number): string | undefined {
  const [address = "", length = "", ...more] = text.split("/");
  const valid = version === 4 ? isIPv4(address) : isIPv6(address) && !address.includes("%");
  if (!valid || more.length > 0 || wholeNumber(length, min, max) === undefined) return undefined;
  const range = version === 4 ? IPv4CidrRange.fromCidr(text) : IPv6CidrRange.fromCidr(expanded(text));
  const first = canonical(range.getFirst().toString(), version);
  if (first !== canonical(address, version)) {
    throw new BadValue(`${text} has bits set beyond its length; ${first}/${length} may be meant`);
  }
  return `${first}/${length}`;
}

function canonical(address: string, version: 4 | 6): string {
  return new SocketAddress({ address, family: version === 4 ? "ipv4" : "ipv6" }).address;
}

/** ip-num reads no embedded IPv4 (`::ffff:10.0.0.1`), which the canonical text may keep. */
function expanded(prefix: string): string {
  return prefix.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)/, (_, a: string, b: string, c: string, d: string) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((part) => part.toString(16)).join(":"),
  );
}
