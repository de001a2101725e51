/** Kernel settings under /proc/sys, named as sysctl(8) names them with slashes: `net/ipv4/ip_forward`. */
import { readFileSync, writeFileSync } from "node:fs";
import { ZgateError } from "../errors.ts";

/** Setting and value. */
export type SysctlValues = Readonly<Record<string, string>>;

/** The value of a setting; undefined when this kernel has none of that name. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Throws `ZG_PRIVILEGE` when /proc/sys cannot be written, as in a container that was not given the setting. */
export function writeSysctl(name: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${name}`, value);
  } catch (cause) {
    const dotted = name.replaceAll("/", ".");
    throw new ZgateError(
      "ZG_PRIVILEGE",
      `${dotted} cannot be set to ${value}: run as root, or set it beforehand ` +
        `(sysctl -w ${dotted}=${value}; docker run --sysctl ${dotted}=${value}; sysctls: in compose.yaml)`,
      { cause },
    );
  }
}

/** Sets what differs; returns the values before, of what was set only. */
export function changeSysctls(wanted: SysctlValues): SysctlValues {
  const before: Record<string, string> = {};
  for (const [name, value] of Object.entries(wanted)) {
    const present = readSysctl(name);
    if (present === undefined || present === value) continue;
    writeSysctl(name, value);
    before[name] = present;
  }
  return before;
}
