/** The addresses of a TUN device, declared as an end state. They go with the device. */
import { readAddresses, runIpBatch } from "./ip-state.ts";
import { changeSysctls, readSysctl } from "./sysctl.ts";

/**
 * Gives the device exactly the addresses `wanted` (`10.77.0.1/16`, `fd77:7a67::1/64`); the device must exist.
 * Returns whether IPv6 works on it: containers have it off, and what cannot be switched on is left out.
 */
export async function declareAddresses(device: string, wanted: readonly string[]): Promise<{ ipv6: boolean }> {
  const ipv6 = wanted.some(isIpv6) && enableIpv6(device);
  const usable = wanted.filter((address) => ipv6 || !isIpv6(address));
  const present = await readAddresses(device);
  await runIpBatch([
    ...present
      .filter((address) => !usable.includes(address))
      .map((address) => `address delete ${address} dev ${device}`),
    ...usable
      .filter((address) => !present.includes(address))
      .map((address) => `address add ${address} dev ${device}${isIpv6(address) ? " nodad" : ""}`),
  ]);
  return { ipv6 };
}

function isIpv6(address: string): boolean {
  return address.includes(":");
}

function enableIpv6(device: string): boolean {
  const setting = `net/ipv6/conf/${device}/disable_ipv6`;
  try {
    changeSysctls({ [setting]: "0" });
  } catch {
    return false; // A read-only /proc/sys.
  }
  return readSysctl(setting) === "0";
}
