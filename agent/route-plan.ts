/**
 * Which routes the agent needs, as data; `routes.ts` brings them about.
 *
 *   1. `splitDefault`: a default route becomes its two halves, which win over the machine's own default route
 *      without replacing it
 *   2. `coversRelay`: a route that holds the relay's own address would send the tunnel into itself, so the relay
 *      gets a host route over the present way out (`wayOut`)
 *   3. `diffRoutes`: what to add and what to delete, so that doing it twice does nothing
 */
import { ROUTE_METRIC, ROUTE_PROTOCOL } from "../shared/host/constants.ts";
import type { Route } from "../shared/host/ip-state.ts";
import {
  type Address,
  addressBits,
  compareWords,
  formatAddress,
  formatPrefix,
  parsePrefix,
  type Prefix,
  prefixContains,
} from "../shared/packet/address.ts";

/** A route that should be there. */
export interface PlannedRoute {
  readonly prefix: Prefix;
  readonly device: string;
  readonly gateway: string | undefined;
  readonly source: string | undefined;
}

/** What the agent's tunnel needs of the routing tables. */
export interface TunnelRoutes {
  readonly device: string;
  /** The leased addresses: `10.77.0.2/32`, `fd77:7a67::2/128`. */
  readonly addresses: readonly Prefix[];
  /** What goes through the tunnel. Prefixes of a family without a leased address are left out. */
  readonly destinations: readonly Prefix[];
}

const HALVES = {
  4: [parsePrefix("0.0.0.0/1"), parsePrefix("128.0.0.0/1")],
  6: [parsePrefix("::/1"), parsePrefix("8000::/1")],
} as const;

/** The prefix itself, or the two halves of a default route. */
export function splitDefault(prefix: Prefix): readonly Prefix[] {
  return prefix.length === 0 ? HALVES[prefix.version] : [prefix];
}

/** The routes through the tunnel device, each once. */
export function planTunnelRoutes({ device, addresses, destinations }: TunnelRoutes): PlannedRoute[] {
  const planned = new Map<string, PlannedRoute>();
  for (const prefix of destinations.flatMap(splitDefault)) {
    const source = addresses.find(({ version }) => version === prefix.version);
    if (source === undefined) continue;
    planned.set(formatPrefix(prefix), {
      prefix,
      device,
      gateway: undefined,
      source: formatAddress(source.version, ...source.words),
    });
  }
  return [...planned.values()];
}

/** One of the routes holds the relay's address. */
export function coversRelay(planned: readonly PlannedRoute[], relay: Address): boolean {
  return planned.some(({ prefix }) => prefixContains(prefix, relay.version, ...relay.words));
}

/**
 * The host route that keeps the relay outside the tunnel: the way that the machine's own routes (not zgate's)
 * take to it. Undefined when they have none.
 */
export function planRelayRoute(relay: Address, table: readonly Route[], device: string): PlannedRoute | undefined {
  const way = wayOut(relay, table, device);
  if (way?.device === undefined) return undefined;
  const prefix: Prefix = { ...relay, length: addressBits(relay.version) };
  return { prefix, device: way.device, gateway: way.gateway, source: way.source };
}

/** The longest match, then the lowest metric, among routes that are neither zgate's nor through `device`. */
function wayOut(to: Address, table: readonly Route[], device: string): Route | undefined {
  let best: Route | undefined;
  for (const route of table) {
    if (route.ours || route.device === device || !prefixContains(route.prefix, to.version, ...to.words)) continue;
    const longer = best === undefined ? 1 : route.prefix.length - best.prefix.length;
    if (longer > 0 || (longer === 0 && best !== undefined && route.metric < best.metric)) best = route;
  }
  return best;
}

/** zgate's routes in the table that are not planned, and planned ones that are not in the table. */
export function diffRoutes(planned: readonly PlannedRoute[], present: readonly Route[]): RouteChanges {
  const isPlanned = (route: Route): boolean => planned.some((plan) => sameRoute(plan, route));
  const isPresent = (plan: PlannedRoute): boolean => present.some((route) => sameRoute(plan, route));
  return {
    obsolete: present.filter((route) => !isPlanned(route)),
    missing: planned.filter((plan) => !isPresent(plan)),
  };
}

export interface RouteChanges {
  readonly obsolete: readonly Route[];
  readonly missing: readonly PlannedRoute[];
}

/** Routes of the machine that win over a planned one because they are for the same prefix and have a better metric. */
export function shadowedBy(planned: readonly PlannedRoute[], table: readonly Route[]): Route[] {
  return table.filter(
    (route) =>
      !route.ours && route.metric < ROUTE_METRIC && planned.some(({ prefix }) => samePrefix(prefix, route.prefix)),
  );
}

/** The arguments of `ip route add` and `ip route delete`. */
export function routeArguments({ prefix, gateway, device, source }: PlannedRoute | Route): string {
  const via = gateway === undefined ? "" : ` via ${gateway}`;
  const dev = device === undefined ? "" : ` dev ${device}`;
  const src = source === undefined ? "" : ` src ${source}`;
  return `${formatPrefix(prefix)}${via}${dev} proto ${ROUTE_PROTOCOL} metric ${ROUTE_METRIC}${src}`;
}

function sameRoute(plan: PlannedRoute, route: Route): boolean {
  return (
    samePrefix(plan.prefix, route.prefix) &&
    plan.device === route.device &&
    plan.gateway === route.gateway &&
    (plan.source === undefined || plan.source === route.source)
  );
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.version === b.version && a.length === b.length && compareWords(a.words, b.words) === 0;
}
