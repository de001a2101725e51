/**
 * Routes that are more than one ROUTE_ADVERTISEMENT holds, made fewer: protocols are joined, then the ranges
 * with the least space between them. What comes out holds all that went in, and more; the relay still judges
 * each packet, so the price is that some packets go into the tunnel that end there.
 */
import { valueOf, wordsOf } from "../packet/address.ts";
import type { IpVersion } from "../packet/address.ts";
import type { RouteEntry } from "./route-capsule.ts";

interface Range {
  readonly version: IpVersion;
  readonly start: bigint;
  end: bigint;
}

/** At most `limit` routes, 2 or more, that hold `routes`; these themselves when they are not more. */
export function limitRoutes(routes: readonly RouteEntry[], limit: number): readonly RouteEntry[] {
  if (routes.length <= limit) return routes;
  return closeGaps(joined(routes), limit).map(({ version, start, end }) => {
    return { version, start: wordsOf(start), end: wordsOf(end), ipProtocol: 0 };
  });
}

/** All protocols together, in order, without overlap. */
function joined(routes: readonly RouteEntry[]): Range[] {
  const ranges = routes.map(({ version, start, end }) => ({ version, start: valueOf(start), end: valueOf(end) }));
  ranges.sort((a, b) => a.version - b.version || (a.start < b.start ? -1 : Number(a.start > b.start)));
  const merged: Range[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last === undefined || last.version !== range.version || range.start > last.end + 1n) merged.push(range);
    else if (range.end > last.end) last.end = range.end;
  }
  return merged;
}

/** Joins across the smallest gaps between neighbours of one family until `limit` are left. */
function closeGaps(ranges: readonly Range[], limit: number): Range[] {
  const gaps: { at: number; size: bigint }[] = [];
  for (let at = 1; at < ranges.length; at++) {
    const before = ranges[at - 1]!;
    if (before.version === ranges[at]!.version) gaps.push({ at, size: ranges[at]!.start - before.end });
  }
  gaps.sort((a, b) => (a.size < b.size ? -1 : Number(a.size > b.size)));
  const closed = new Set(gaps.slice(0, Math.max(0, ranges.length - limit)).map(({ at }) => at));
  const left: Range[] = [];
  for (const [at, range] of ranges.entries()) {
    const last = left.at(-1);
    if (last !== undefined && closed.has(at)) last.end = range.end;
    else left.push({ ...range });
  }
  return left;
}
