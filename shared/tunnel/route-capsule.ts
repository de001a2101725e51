/**
 * The value of ROUTE_ADVERTISEMENT (RFC 9484 section 4.7.3): ranges of
 * `IP version (8), start (32 or 128), end (32 or 128), IP protocol (8)`, in order and without overlap.
 */
import { compareWords, formatAddress } from "../packet/address.ts";
import type { AddressWords, IpVersion } from "../packet/address.ts";
import type { AddressRange } from "../packet/address-range.ts";
import { ZgateError } from "../errors.ts";
import { addressSize, putAddress, readAddress, readVersion } from "./capsule-address.ts";
import { encodeCapsule } from "./capsule.ts";
import { CAPSULE_ROUTE_ADVERTISEMENT, MAX_CAPSULE_ROUTES } from "./constants.ts";

/** Addresses that the sender forwards to. */
export interface RouteEntry extends AddressRange {
  /** IANA protocol number; 0 means all protocols. */
  readonly ipProtocol: number;
}

/**
 * A whole ROUTE_ADVERTISEMENT capsule. The routes are put in the order that the RFC asks for. Throws a
 * `ZgateError` `ZG_CAPSULE` when they overlap or are more than `MAX_CAPSULE_ROUTES`: the caller merges first.
 */
export function encodeRouteAdvertisement(routes: readonly RouteEntry[]): Uint8Array {
  const ordered = routes.toSorted(compareRoutes);
  checkRoutes(ordered);
  let size = 0;
  for (const { version } of ordered) size += 1 + 2 * addressSize(version) + 1;
  const value = new Uint8Array(size);
  let at = 0;
  for (const { version, start, end, ipProtocol } of ordered) {
    value[at] = version;
    at = putAddress(version, start, value, at + 1);
    at = putAddress(version, end, value, at);
    value[at++] = ipProtocol;
  }
  return encodeCapsule(CAPSULE_ROUTE_ADVERTISEMENT, value);
}

/** Reads the value of a ROUTE_ADVERTISEMENT: the full list, which may be empty. Throws a `ZgateError` `ZG_CAPSULE`. */
export function decodeRouteAdvertisement(value: Uint8Array): RouteEntry[] {
  const routes: RouteEntry[] = [];
  for (let at = 0; at < value.length;) {
    const version = readVersion("ROUTE_ADVERTISEMENT", value, at);
    const size = addressSize(version);
    const next = at + 1 + 2 * size + 1;
    if (next > value.length)
      throw new ZgateError("ZG_CAPSULE", `ROUTE_ADVERTISEMENT ends inside the range at byte ${at}`);
    const start = readAddress(version, value, at + 1);
    const end = readAddress(version, value, at + 1 + size);
    routes.push({ version, start, end, ipProtocol: value[next - 1]! });
    at = next;
  }
  checkRoutes(routes);
  return routes;
}

/** The order of RFC 9484 section 4.7.3: version, protocol, addresses. */
function compareRoutes(a: RouteEntry, b: RouteEntry): number {
  return a.version - b.version || a.ipProtocol - b.ipProtocol || compareWords(a.start, b.start);
}

function checkRoutes(routes: readonly RouteEntry[]): void {
  if (routes.length > MAX_CAPSULE_ROUTES) {
    throw new ZgateError(
      "ZG_CAPSULE",
      `ROUTE_ADVERTISEMENT has ${routes.length} ranges: at most ${MAX_CAPSULE_ROUTES} are possible`,
    );
  }
  let before: RouteEntry | undefined;
  for (const route of routes) {
    if (compareWords(route.start, route.end) > 0) {
      throw new ZgateError(
        "ZG_CAPSULE",
        `ROUTE_ADVERTISEMENT has the range ${rangeText(route)}, which starts behind its end`,
      );
    }
    if (before !== undefined && !follows(before, route)) {
      throw new ZgateError(
        "ZG_CAPSULE",
        `ROUTE_ADVERTISEMENT has ${rangeText(route)} behind ${rangeText(before)}: out of order, or they overlap`,
      );
    }
    before = route;
  }
  checkWildcardOverlap(routes);
}

function follows(a: RouteEntry, b: RouteEntry): boolean {
  if (a.version !== b.version) return a.version < b.version;
  if (a.ipProtocol !== b.ipProtocol) return a.ipProtocol < b.ipProtocol;
  return compareWords(a.end, b.start) < 0;
}

/** A range of all protocols overlaps no range of a single one. The ranges of one protocol are in order. */
function checkWildcardOverlap(routes: readonly RouteEntry[]): void {
  for (const version of [4, 6] as const) {
    const all = routes.filter((route) => route.version === version && route.ipProtocol === 0);
    for (const route of routes) {
      if (route.version !== version || route.ipProtocol === 0) continue;
      const other = firstNotBefore(all, route.start);
      if (other !== undefined && compareWords(other.start, route.end) <= 0) {
        throw new ZgateError(
          "ZG_CAPSULE",
          `ROUTE_ADVERTISEMENT has ${rangeText(route)} and ${rangeText(other)}, which overlap`,
        );
      }
    }
  }
}

/** The first of the ordered ranges that does not end before `address`, by bisection. */
function firstNotBefore(ranges: readonly RouteEntry[], address: AddressWords): RouteEntry | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareWords(ranges[middle]!.end, address) < 0) low = middle + 1;
    else high = middle;
  }
  return ranges[low];
}

function rangeText({ version, start, end, ipProtocol }: RouteEntry): string {
  const text = (words: AddressWords, family: IpVersion): string => formatAddress(family, ...words);
  return `${text(start, version)}-${text(end, version)} protocol ${ipProtocol === 0 ? "any" : ipProtocol}`;
}
