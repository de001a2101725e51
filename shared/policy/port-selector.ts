/**
 * What stands under `ports`: `tcp/443`, `udp/8000-8100`, `icmp/echo-request`, `proto/47` → protocol and range.
 */
import { nearestName } from "../yaml/suggestion.ts";
import { Complaint, quoted } from "./complaint.ts";
import { MAX_ICMP_TYPE, MAX_PORT, MAX_PROTOCOL } from "./constants.ts";
import {
  PROTO_DCCP,
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_SCTP,
  PROTO_TCP,
  PROTO_UDP,
  PROTO_UDPLITE,
} from "../packet/constants.ts";

/**
 * One protocol and, where `ranged`, its destination ports or ICMP types `from` to `to` inclusive. A packet
 * without visible ports or type matches no ranged selector; one that is not ranged asks for the protocol only.
 */
export interface PortSelector {
  readonly protocol: number;
  readonly ranged: boolean;
  readonly from: number;
  readonly to: number;
}

const PORT_PROTOCOLS = new Map([
  ["tcp", PROTO_TCP],
  ["udp", PROTO_UDP],
  ["sctp", PROTO_SCTP],
  ["dccp", PROTO_DCCP],
  ["udplite", PROTO_UDPLITE],
]);

/** IANA ICMP types that people name; any other is written as its number. */
const ICMP_TYPES = new Map([
  ["echo-reply", 0],
  ["destination-unreachable", 3],
  ["redirect", 5],
  ["echo-request", 8],
  ["time-exceeded", 11],
  ["parameter-problem", 12],
  ["timestamp-request", 13],
  ["timestamp-reply", 14],
]);

/** IANA ICMPv6 types (RFC 4443, RFC 4861). */
const ICMPV6_TYPES = new Map([
  ["destination-unreachable", 1],
  ["packet-too-big", 2],
  ["time-exceeded", 3],
  ["parameter-problem", 4],
  ["echo-request", 128],
  ["echo-reply", 129],
  ["router-solicitation", 133],
  ["router-advertisement", 134],
  ["neighbour-solicitation", 135],
  ["neighbour-advertisement", 136],
]);

const ICMP_PROTOCOLS = new Map([
  ["icmp", { protocol: PROTO_ICMP, types: ICMP_TYPES }],
  ["icmpv6", { protocol: PROTO_ICMPV6, types: ICMPV6_TYPES }],
]);

const KNOWN_WORDS = [...PORT_PROTOCOLS.keys(), ...ICMP_PROTOCOLS.keys(), "proto"];
const EXPECTED = "expected tcp/443, udp/8000-8100, tcp/*, icmp, icmp/echo-request, icmpv6 or proto/47";
const NUMBER = /^(?:0|[1-9][0-9]{0,4})$/;

/** Reads one entry of `ports`. */
export function parsePortSelector(text: string): PortSelector | Complaint {
  const slash = text.indexOf("/");
  const word = slash < 0 ? text : text.slice(0, slash);
  const range = slash < 0 ? undefined : text.slice(slash + 1);
  const portProtocol = PORT_PROTOCOLS.get(word);
  if (portProtocol !== undefined) {
    if (range === undefined || range === "*") return wholeProtocol(portProtocol);
    return ranged(text, portProtocol, range, MAX_PORT, undefined);
  }
  const icmp = ICMP_PROTOCOLS.get(word);
  if (icmp !== undefined) {
    if (range === undefined || range === "*") return wholeProtocol(icmp.protocol);
    return ranged(text, icmp.protocol, range, MAX_ICMP_TYPE, icmp.types);
  }
  if (word === "proto") {
    const protocol = range === undefined ? undefined : numberOf(range, MAX_PROTOCOL);
    if (protocol !== undefined) return wholeProtocol(protocol);
    return new Complaint(
      `${quoted(text)} needs a protocol number from 0 to ${MAX_PROTOCOL}`,
      "expected one such as proto/47",
    );
  }
  return new Complaint(`${quoted(text)} is not a port of a protocol`, () => hintFor(word, range));
}

function hintFor(word: string, range: string | undefined): string {
  if (range === undefined && /^[0-9]+(-[0-9]+)?$/.test(word)) return `did you mean "tcp/${word}" or "udp/${word}"?`;
  const nearest = nearestName(word, KNOWN_WORDS);
  if (nearest === undefined) return EXPECTED;
  return `did you mean ${JSON.stringify(range === undefined ? nearest : `${nearest}/${range}`)}?`;
}

function wholeProtocol(protocol: number): PortSelector {
  return { protocol, ranged: false, from: 0, to: MAX_PORT };
}

function ranged(
  text: string,
  protocol: number,
  range: string,
  max: number,
  names: ReadonlyMap<string, number> | undefined,
): PortSelector | Complaint {
  const named = names?.get(range);
  if (named !== undefined) return { protocol, ranged: true, from: named, to: named };
  const dash = range.indexOf("-");
  const from = numberOf(dash < 0 ? range : range.slice(0, dash), max);
  const to = dash < 0 ? from : numberOf(range.slice(dash + 1), max);
  if (from === undefined || to === undefined) {
    const what = names === undefined ? "a port" : "an ICMP type";
    return new Complaint(`${quoted(text)} needs ${what} from 0 to ${max}`, () => rangeHint(protocol, range, names));
  }
  if (from > to) return new Complaint(`${quoted(text)} is a range that ends before it starts`, `write ${to}-${from}`);
  return { protocol, ranged: true, from, to };
}

function rangeHint(protocol: number, range: string, names: ReadonlyMap<string, number> | undefined): string {
  const name = formatProtocol(protocol);
  if (names === undefined) return `expected ${name}/443, ${name}/8000-8100 or ${name}/*`;
  const nearest = nearestName(range, names.keys());
  return nearest === undefined
    ? `expected ${name}/8, ${name}/echo-request or ${name}`
    : `did you mean "${name}/${nearest}"?`;
}

function numberOf(text: string, max: number): number | undefined {
  if (!NUMBER.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** Whether packets of this protocol carry ports that a rule can name. */
export function hasPorts(protocol: number): boolean {
  return PROTOCOLS_WITH_PORTS.has(protocol);
}

const PROTOCOLS_WITH_PORTS = new Set(PORT_PROTOCOLS.values());

/** The number of `tcp`, `icmpv6`, `proto/47` or `47`. */
export function parseProtocol(text: string): number | Complaint {
  const known = PORT_PROTOCOLS.get(text) ?? ICMP_PROTOCOLS.get(text)?.protocol;
  if (known !== undefined) return known;
  const number = numberOf(text.startsWith("proto/") ? text.slice("proto/".length) : text, MAX_PROTOCOL);
  if (number !== undefined) return number;
  return new Complaint(`${quoted(text)} is not a protocol`, () => {
    const nearest = nearestName(text, KNOWN_WORDS);
    if (nearest !== undefined && nearest !== "proto") return `did you mean ${JSON.stringify(nearest)}?`;
    return "expected tcp, udp, sctp, dccp, udplite, icmp, icmpv6 or a number from 0 to 255";
  });
}

/** `tcp`, `icmpv6` or `proto/47`. */
export function formatProtocol(protocol: number): string {
  return PROTOCOL_NAMES.get(protocol) ?? `proto/${protocol}`;
}

const PROTOCOL_NAMES = new Map<number, string>([
  ...[...PORT_PROTOCOLS].map(([name, number]): [number, string] => [number, name]),
  ...[...ICMP_PROTOCOLS].map(([name, { protocol }]): [number, string] => [protocol, name]),
]);

/** The selector as a policy would write it: `tcp/443`, `udp/8000-8100`, `icmp`, `proto/47`. */
export function formatPortSelector(selector: PortSelector): string {
  const { protocol, from, to } = selector;
  const name = formatProtocol(protocol);
  if (!selector.ranged) return hasPorts(protocol) ? `${name}/*` : name;
  return from === to ? `${name}/${from}` : `${name}/${from}-${to}`;
}
