/**
 * The kernel's forwarding switches and what they drag along, as settings to change and to restore.
 *
 * Switching `ip_forward` rewrites every interface's own switch and `accept_redirects`
 * (Documentation/networking/ip-sysctl.rst); switching IPv6 forwarding makes the kernel forget default routes
 * that it learned from router advertisements, unless `accept_ra` is 2.
 */
import { readdirSync } from "node:fs";
import { readSysctl, type SysctlValues, writeSysctl } from "../shared/host/sysctl.ts";

const IPV4 = "net/ipv4/ip_forward";
const IPV6 = "net/ipv6/conf/all/forwarding";

/** What has to be set for forwarding and is not; in the order to set it. */
export function forwardingChanges(ipv6: boolean): SysctlValues {
  const changes: Record<string, string> = {};
  if (readSysctl(IPV4) !== "1") changes[IPV4] = "1";
  if (ipv6 && readSysctl(IPV6) === "0") {
    for (const device of devices("ipv6")) {
      const setting = `net/ipv6/conf/${device}/accept_ra`;
      if (readSysctl(setting) === "1") changes[setting] = "2";
    }
    changes[IPV6] = "1";
  }
  return changes;
}

/** The present values of the settings and of those that the kernel changes with them; in the order to restore. */
export function snapshotForwarding(changes: SysctlValues): SysctlValues {
  const names = Object.keys(changes);
  if (IPV4 in changes) names.push("net/ipv4/conf/all/accept_redirects", ...switches("ipv4"));
  if (IPV6 in changes) names.push(...switches("ipv6"));
  const values: Record<string, string> = {};
  for (const name of names) {
    const value = readSysctl(name);
    if (value !== undefined) values[name] = value;
  }
  return values;
}

/** Writes the settings in order; one whose interface is gone is left out. */
export function writeForwarding(values: SysctlValues): void {
  for (const [name, value] of Object.entries(values)) {
    const present = readSysctl(name);
    if (present !== undefined && present !== value) writeSysctl(name, value);
  }
}

function switches(family: "ipv4" | "ipv6"): string[] {
  return devices(family).map((device) => `net/${family}/conf/${device}/forwarding`);
}

function devices(family: "ipv4" | "ipv6"): string[] {
  try {
    return readdirSync(`/proc/sys/net/${family}/conf`).filter((device) => device !== "all");
  } catch {
    return []; // A kernel without IPv6.
  }
}
