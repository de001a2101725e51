import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress, valueOf } from "../packet/address.ts";
import { encodeRouteAdvertisement } from "./route-capsule.ts";
import type { RouteEntry } from "./route-capsule.ts";
import { limitRoutes } from "./route-limit.ts";

function range(start: string, end: string, ipProtocol = 0): RouteEntry {
  const { version, words } = parseAddress(start);
  return { version, start: words, end: parseAddress(end).words, ipProtocol };
}

const text = ({ version, start, end, ipProtocol }: RouteEntry): string =>
  `${formatAddress(version, ...start)}-${formatAddress(version, ...end)} ${ipProtocol}`;

const cases: readonly { name: string; routes: RouteEntry[]; limit: number; expect: string[] }[] = [
  {
    name: "few routes stay as they are, protocols too",
    routes: [range("10.0.0.1", "10.0.0.1", 6), range("10.0.0.1", "10.0.0.1", 17)],
    limit: 2,
    expect: ["10.0.0.1-10.0.0.1 6", "10.0.0.1-10.0.0.1 17"],
  },
  {
    name: "the smallest gap is closed first",
    routes: [range("10.0.0.1", "10.0.0.1"), range("10.0.0.3", "10.0.0.3"), range("10.9.0.0", "10.9.0.0")],
    limit: 2,
    expect: ["10.0.0.1-10.0.0.3 0", "10.9.0.0-10.9.0.0 0"],
  },
  {
    name: "protocols are joined before gaps are closed",
    routes: [range("10.0.0.1", "10.0.0.1", 6), range("10.9.0.0", "10.9.0.0", 6), range("10.0.0.1", "10.0.0.1", 17)],
    limit: 2,
    expect: ["10.0.0.1-10.0.0.1 0", "10.9.0.0-10.9.0.0 0"],
  },
  {
    name: "families are never joined",
    routes: [
      range("10.0.0.1", "10.0.0.1"),
      range("10.9.0.0", "10.9.0.0"),
      range("fd00::1", "fd00::1"),
      range("fd00::9", "fd00::9"),
    ],
    limit: 2,
    expect: ["10.0.0.1-10.9.0.0 0", "fd00::1-fd00::9 0"],
  },
];

for (const { name, routes, limit, expect } of cases) {
  test(name, () => assert.deepEqual(limitRoutes(routes, limit).map(text), expect));
}

test("whatever the routes, all of them are held, and a capsule can carry them", () => {
  const route = fc
    .tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 5000 }), fc.constantFrom(0, 6, 17))
    .map(([start, size, ipProtocol]): RouteEntry => {
      return { version: 4, start: [0, 0, 0, start], end: [0, 0, 0, Math.min(start + size, 2 ** 32 - 1)], ipProtocol };
    });
  fc.assert(
    fc.property(fc.array(route, { minLength: 3, maxLength: 60 }), fc.integer({ min: 2, max: 20 }), (routes, limit) => {
      fc.pre(routes.length > limit);
      const fewer = limitRoutes(routes, limit);
      assert.ok(fewer.length <= limit);
      encodeRouteAdvertisement(fewer);
      for (const { start, end } of routes) {
        assert.ok(fewer.some((one) => valueOf(one.start) <= valueOf(start) && valueOf(end) <= valueOf(one.end)));
      }
    }),
  );
});
