/**
 * Addresses and routes of the agent's tunnel, declared as an end state:
 *
 *   declare ─▶ routes that an agent left that was killed are deleted ─▶ addresses ─▶ routes     (idempotent)
 *   removeSync ─▶ everything as it was, also from an exit handler
 *
 * Addresses and tunnel routes go with the device; the host route to the relay stands on another device and
 * would stay, so it is written down (`Leftover`) before it is added.
 */
import { z } from "zod";
import { ZgateError } from "../shared/errors.ts";
import { declareAddresses } from "../shared/host/device-addresses.ts";
import { findLeftovers, type FoundLeftover, Leftover } from "../shared/host/leftover.ts";
import { isLocalAddress, readRoutes, type Route, runIpBatch, runIpBatchForced } from "../shared/host/ip-state.ts";
import type { TunMtu } from "../shared/units.ts";
import { type Address, formatAddress, formatPrefix } from "../shared/packet/address.ts";
import {
  coversRelay,
  diffRoutes,
  type PlannedRoute,
  planRelayRoute,
  planTunnelRoutes,
  routeArguments,
  shadowedBy,
  type TunnelRoutes,
} from "./route-plan.ts";

const NO_IPV6 = "no IPv6 through the tunnel: it is off on this machine (sysctl net.ipv6.conf.all.disable_ipv6=0)";

/** Names of the records start with this. */
const RECORD_PREFIX = "routes-";

/** The arguments of `ip route delete` for routes on devices that are not the tunnel's. */
const recordSchema = z.array(z.string());

/** The end state: the tunnel's addresses and destinations, and where the relay is. */
export interface RouteState extends Omit<TunnelRoutes, "device"> {
  /** The relay's address outside the tunnel. */
  readonly relay: Address;
  /** Of the tunnel's device, as the relay has it. */
  readonly mtu: TunMtu;
}

export class AgentRoutes {
  readonly #device: string;
  readonly #record: Leftover<z.infer<typeof recordSchema>>;
  /** What was declared last. */
  #state: RouteState | undefined;
  #outside: readonly string[] = [];
  #inside: readonly string[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #removed = false;

  /** Takes back what a killed agent left. `device` is the name of the TUN device; it need not exist yet. */
  constructor(device: string) {
    this.#device = device;
    this.#record = new Leftover(`${RECORD_PREFIX}${device}`);
    repair();
  }

  /**
   * Brings about `state`, whatever was declared before; the device must be up. Returns sentences about what will
   * not work as declared. Throws `ZG_HOST_COMMAND` and `ZG_PRIVILEGE`, and `ZG_CONNECT_FAILED` when the relay
   * would be reached through the tunnel only. Calls that overlap are carried out one after another.
   */
  declare(state: RouteState): Promise<string[]> {
    const turn = this.#turn.then(() => this.#declare(state)).finally(() => this.#removed && this.removeSync());
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /**
   * Keeps the relay reachable outside the tunnel before another attempt to connect: the machine may have moved to
   * another network since, or the relay to another address. Does nothing before the first `declare`. Throws as
   * `declare` does.
   */
  async keepOutside(relay: Address): Promise<void> {
    if (this.#state !== undefined) await this.declare({ ...this.#state, relay });
  }

  /** Deletes routes and addresses for good, without a promise. What is gone already does not matter. */
  removeSync(): void {
    this.#removed = true;
    this.#deleteOutside(this.#outside);
    runIpBatchForced([...this.#inside.map((route) => `route delete ${route}`), `address flush dev ${this.#device}`]);
    this.#inside = [];
    this.#outside = [];
    this.#record.forget();
  }

  async #declare(state: RouteState): Promise<string[]> {
    const warnings: string[] = [];
    this.#state = state;
    const { ipv6 } = await declareAddresses(this.#device, state.addresses.map(formatPrefix));
    await runIpBatch([`link set dev ${this.#device} mtu ${state.mtu}`]);
    const addresses = state.addresses.filter(({ version }) => version === 4 || ipv6);
    if (addresses.length < state.addresses.length) warnings.push(NO_IPV6);
    const planned = planTunnelRoutes({ ...state, addresses, device: this.#device });
    const tables = { 4: await readRoutes(4), 6: await readRoutes(6) };
    const relayRoute = await this.#relayRoute(state.relay, planned, tables[state.relay.version]);
    await this.#declareOutside(relayRoute === undefined ? [] : [relayRoute], tables[state.relay.version]);
    this.#inside = planned.map(routeArguments);
    for (const version of [4, 6] as const) {
      const ours = tables[version].filter(({ device, ours: own }) => own && device === this.#device);
      const wanted = planned.filter(({ prefix }) => prefix.version === version);
      await apply(wanted, ours);
      for (const route of shadowedBy(wanted, tables[version])) {
        const way = route.gateway ?? route.device ?? "nowhere";
        warnings.push(
          `${formatPrefix(route.prefix)} does not go through the tunnel: this machine has a route to it via ${way}`,
        );
      }
    }
    return warnings;
  }

  async #relayRoute(
    relay: Address,
    planned: readonly PlannedRoute[],
    table: readonly Route[],
  ): Promise<PlannedRoute | undefined> {
    const text = formatAddress(relay.version, ...relay.words);
    if (!coversRelay(planned, relay) || (await isLocalAddress(relay.version, text))) return undefined;
    const route = planRelayRoute(relay, table, this.#device);
    if (route === undefined) {
      const why = "the tunnel's routes hold its address and this machine has no other way to it";
      throw new ZgateError("ZG_CONNECT_FAILED", `the relay ${text} would be cut off: ${why}; add a default route`);
    }
    return route;
  }

  /** The routes on other devices than the tunnel's; another agent may have the same one, which then is shared. */
  async #declareOutside(planned: readonly PlannedRoute[], table: readonly Route[]): Promise<void> {
    const wanted = planned.map(routeArguments);
    const obsolete = this.#outside.filter((route) => !wanted.includes(route));
    const { missing } = diffRoutes(
      planned,
      table.filter(({ ours }) => ours),
    );
    if (wanted.length > 0) this.#record.remember([...wanted, ...obsolete]);
    this.#deleteOutside(obsolete);
    await runIpBatch(missing.map((route) => `route add ${routeArguments(route)}`));
    this.#outside = wanted;
    if (wanted.length > 0) this.#record.remember(wanted);
    else this.#record.forget();
  }

  #deleteOutside(routes: readonly string[]): void {
    const others = findLeftovers(RECORD_PREFIX, recordSchema).filter(({ name }) => name !== this.#record.name);
    deleteUnused(routes, others);
  }
}

async function apply(planned: readonly PlannedRoute[], present: readonly Route[]): Promise<void> {
  const { obsolete, missing } = diffRoutes(planned, present);
  await runIpBatch([
    ...obsolete.map((route) => `route delete ${routeArguments(route)}`),
    ...missing.map((route) => `route add ${routeArguments(route)}`),
  ]);
}

/** Deletes the routes of agents that were killed, unless an agent that lives has the same ones. */
function repair(): void {
  const found = findLeftovers(RECORD_PREFIX, recordSchema);
  for (const { content, forget } of found.filter(({ ownerAlive }) => !ownerAlive)) {
    deleteUnused(content, found);
    forget();
  }
}

function deleteUnused(routes: readonly string[], records: readonly FoundLeftover<string[]>[]): void {
  const inUse = new Set(records.filter(({ ownerAlive }) => ownerAlive).flatMap(({ content }) => content));
  runIpBatchForced(routes.filter((route) => !inUse.has(route)).map((route) => `route delete ${route}`));
}
