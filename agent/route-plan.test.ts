import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseRoutes } from "../shared/host/ip-state.ts";
import { formatPrefix, parseAddress, parsePrefix, prefixContains } from "../shared/packet/address.ts";
import {
  coversRelay,
  diffRoutes,
  planRelayRoute,
  planTunnelRoutes,
  routeArguments,
  shadowedBy,
  splitDefault,
} from "./route-plan.ts";

const ADDRESSES = [parsePrefix("10.77.0.2/32"), parsePrefix("fd77:7a67::2/128")];

/** A laptop: Wi-Fi and Ethernet, both with a default route. */
const LAPTOP = parseRoutes(
  4,
  JSON.stringify([
    { dst: "default", gateway: "192.168.1.1", dev: "wlan0", protocol: "dhcp", metric: 600 },
    { dst: "default", gateway: "192.168.2.1", dev: "eth0", protocol: "dhcp", metric: 100 },
    { dst: "192.168.1.0/24", dev: "wlan0", protocol: "kernel", prefsrc: "192.168.1.5", metric: 600 },
    {
      dst: "203.0.113.0/24",
      nexthops: [
        { gateway: "192.168.1.9", dev: "wlan0" },
        { gateway: "192.168.2.9", dev: "eth0" },
      ],
    },
    { type: "blackhole", dst: "198.51.100.0/24" },
    { dst: "0.0.0.0/1", dev: "zgate0", protocol: "122", metric: 50, prefsrc: "10.77.0.2" },
    { dst: "192.0.2.7", gateway: "192.168.9.9", dev: "eth9", protocol: "122", metric: 50 },
  ]),
);

const SPLITS: readonly { route: string; halves: readonly string[] }[] = [
  { route: "0.0.0.0/0", halves: ["0.0.0.0/1", "128.0.0.0/1"] },
  { route: "::/0", halves: ["::/1", "8000::/1"] },
  { route: "10.0.0.0/8", halves: ["10.0.0.0/8"] },
];
for (const { route, halves } of SPLITS) {
  test(`${route} goes through the tunnel as ${halves.join(" and ")}`, () => {
    assert.deepEqual(splitDefault(parsePrefix(route)).map(formatPrefix), halves);
  });
}

test("the two halves of a default route hold every address", () => {
  const word = fc.nat(0xffff_ffff);
  fc.assert(
    fc.property(fc.tuple(word, word, word, word), (words) => {
      assert.ok(splitDefault(parsePrefix("::/0")).some((half) => prefixContains(half, 6, ...words)));
      assert.ok(splitDefault(parsePrefix("0.0.0.0/0")).some((half) => prefixContains(half, 4, 0, 0, 0, words[3])));
    }),
  );
});

test("tunnel routes carry the leased address of their family, each prefix once", () => {
  const destinations = ["10.50.0.0/24", "0.0.0.0/0", "10.50.0.0/24", "fd00::/8"].map(parsePrefix);
  assert.deepEqual(planTunnelRoutes({ device: "zgate0", addresses: ADDRESSES, destinations }).map(routeArguments), [
    "10.50.0.0/24 dev zgate0 proto 122 metric 50 src 10.77.0.2",
    "0.0.0.0/1 dev zgate0 proto 122 metric 50 src 10.77.0.2",
    "128.0.0.0/1 dev zgate0 proto 122 metric 50 src 10.77.0.2",
    "fd00::/8 dev zgate0 proto 122 metric 50 src fd77:7a67::2",
  ]);
  const only4 = planTunnelRoutes({ device: "zgate0", addresses: ADDRESSES.slice(0, 1), destinations });
  assert.ok(only4.every(({ prefix }) => prefix.version === 4));
});

const WAYS: readonly { relay: string; route: string | undefined; why: string }[] = [
  {
    relay: "192.0.2.7",
    route: "192.0.2.7/32 via 192.168.2.1 dev eth0 proto 122 metric 50",
    why: "the better default route",
  },
  {
    relay: "192.168.1.200",
    route: "192.168.1.200/32 dev wlan0 proto 122 metric 50 src 192.168.1.5",
    why: "a connected network has no gateway",
  },
  {
    relay: "203.0.113.1",
    route: "203.0.113.1/32 via 192.168.1.9 dev wlan0 proto 122 metric 50",
    why: "the first of several hops",
  },
  { relay: "198.51.100.1", route: undefined, why: "a blackhole is no way" },
  { relay: "2001:db8::1", route: undefined, why: "there is no IPv6 route" },
];
for (const { relay, route, why } of WAYS) {
  test(`the way to the relay ${relay}: ${why}`, () => {
    const planned = planRelayRoute(parseAddress(relay), LAPTOP, "zgate0");
    assert.equal(planned && routeArguments(planned), route);
  });
}

test("only a route that holds the relay's address makes a host route necessary", () => {
  const plan = (destination: string) =>
    planTunnelRoutes({ device: "zgate0", addresses: ADDRESSES, destinations: [parsePrefix(destination)] });
  assert.equal(coversRelay(plan("10.0.0.0/8"), parseAddress("192.0.2.7")), false);
  assert.equal(coversRelay(plan("192.0.0.0/8"), parseAddress("192.0.2.7")), true);
  assert.equal(coversRelay(plan("0.0.0.0/0"), parseAddress("192.0.2.7")), true);
  assert.equal(coversRelay(plan("0.0.0.0/0"), parseAddress("2001:db8::1")), false);
});

test("diffRoutes finds what to add and what to delete, and nothing the second time", () => {
  const planned = planTunnelRoutes({
    device: "zgate0",
    addresses: ADDRESSES,
    destinations: [parsePrefix("0.0.0.0/0")],
  });
  const present = LAPTOP.filter(({ device, ours }) => ours && device === "zgate0");
  const { obsolete, missing } = diffRoutes(planned, present);
  assert.deepEqual(obsolete, []);
  assert.deepEqual(
    missing.map(({ prefix }) => formatPrefix(prefix)),
    ["128.0.0.0/1"],
  );
  const moved = diffRoutes(
    planned.map((route) => ({ ...route, source: "10.77.0.9" })),
    present,
  );
  assert.deepEqual(
    moved.obsolete.map(({ prefix }) => formatPrefix(prefix)),
    ["0.0.0.0/1"],
  );
});

test("a connected network of the same prefix wins over the tunnel, and that is said", () => {
  const table = parseRoutes(
    4,
    JSON.stringify([
      { dst: "10.50.0.0/24", dev: "eth0", protocol: "kernel" },
      { dst: "10.51.0.0/24", dev: "eth0", metric: 100 },
    ]),
  );
  const destinations = ["10.50.0.0/24", "10.51.0.0/24"].map(parsePrefix);
  const planned = planTunnelRoutes({ device: "zgate0", addresses: ADDRESSES, destinations });
  assert.deepEqual(
    shadowedBy(planned, table).map(({ prefix }) => formatPrefix(prefix)),
    ["10.50.0.0/24"],
  );
});
