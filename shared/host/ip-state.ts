/**
 * What iproute2 says of addresses and routes, read with `ip -j` and checked, and batches of changes.
 *
 * Only the main routing table is looked at: it is where zgate's routes go and where those of a desktop or a
 * server live.
 */
import { z } from "zod";
import { type IpVersion, parsePrefix, type Prefix } from "../packet/address.ts";
import { ROUTE_PROTOCOL } from "./constants.ts";
import { runCommand, runCommandSync } from "./command.ts";

const hopSchema = z.object({ gateway: z.string().optional(), dev: z.string().optional() });
const routeSchema = hopSchema.extend({
  dst: z.string(),
  protocol: z.string().optional(),
  metric: z.number().optional(),
  prefsrc: z.string().optional(),
  nexthops: z.array(hopSchema).optional(),
});
const linkSchema = z.object({
  addr_info: z.array(z.object({ local: z.string(), prefixlen: z.number(), scope: z.string() })),
});
const lookupSchema = z.object({ type: z.string().optional() });

/** A route of the main table. */
export interface Route {
  readonly prefix: Prefix;
  readonly gateway: string | undefined;
  readonly device: string | undefined;
  /** 0 when iproute2 shows none. */
  readonly metric: number;
  readonly source: string | undefined;
  /** zgate added it. */
  readonly ours: boolean;
}

/** The main routing table of one family. */
export async function readRoutes(version: IpVersion): Promise<Route[]> {
  const output = await runCommand("ip", ["-j", `-${version}`, "route", "show", "table", "main"]);
  return parseRoutes(version, output);
}

/** The routes in the JSON of `ip -j route show`. A blackhole is a route without a device. */
export function parseRoutes(version: IpVersion, json: string): Route[] {
  return z
    .array(routeSchema)
    .parse(parseJson(json))
    .map((route) => {
      const hop = route.nexthops?.[0] ?? route;
      return {
        prefix: parsePrefix(route.dst === "default" ? (version === 4 ? "0.0.0.0/0" : "::/0") : route.dst),
        gateway: hop.gateway,
        device: hop.dev,
        metric: route.metric ?? 0,
        source: route.prefsrc,
        ours: route.protocol === `${ROUTE_PROTOCOL}`,
      };
    });
}

/** The global addresses of a device, as `10.77.0.2/32`. Throws `ZG_HOST_COMMAND` when there is no such device. */
export async function readAddresses(device: string): Promise<string[]> {
  const addresses = globalAddresses(await runCommand("ip", ["-j", "address", "show", "dev", device]));
  return addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

/** The global addresses of all devices, without their lengths. */
export async function readLocalAddresses(): Promise<string[]> {
  return globalAddresses(await runCommand("ip", ["-j", "address", "show"])).map(({ local }) => local);
}

/** The address is one of this machine's own: the local table, which is asked before any route, has it. */
export async function isLocalAddress(version: IpVersion, address: string): Promise<boolean> {
  const args = ["-j", `-${version}`, "route", "show", "table", "local", "match", address];
  const entries = z.array(lookupSchema).parse(parseJson(await runCommand("ip", args)));
  return entries.some(({ type }) => type === "local");
}

function globalAddresses(json: string): { local: string; prefixlen: number }[] {
  const links = z.array(linkSchema).parse(parseJson(json));
  return links.flatMap((link) => link.addr_info).filter(({ scope }) => scope === "global");
}

/** Runs the commands in order, as one process; the first that fails ends it with `ZG_HOST_COMMAND`. */
export async function runIpBatch(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await runCommand("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
}

/** Runs all the commands whatever becomes of each: for taking back what may be gone already. */
export function runIpBatchForced(lines: readonly string[]): void {
  if (lines.length === 0) return;
  try {
    runCommandSync("ip", ["-force", "-batch", "-"], `${lines.join("\n")}\n`);
  } catch {
    // What was gone already makes the exit code bad; the others were carried out (`-force`).
  }
}

/** iproute2 prints nothing at all for an empty table in some versions. */
function parseJson(text: string): unknown {
  return text.trim() === "" ? [] : JSON.parse(text);
}
