/** What a process may have changed in a namespace, for comparing before with after. */
import type { Namespace } from "./namespace.ts";

export interface MachineState {
  readonly addresses: unknown;
  readonly routes: unknown;
  readonly ruleset: unknown;
  readonly forwarding: Readonly<Record<string, string>>;
}

const SWITCHES = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.all.accept_redirects"];

/** `ip -j addr`, `ip -j route` of both families, `nft -j list ruleset` and the forwarding switches. */
export async function machineState(namespace: Namespace): Promise<MachineState> {
  const json = async (...argv: string[]): Promise<unknown> => JSON.parse((await namespace.check(argv)) || "[]");
  const forwarding: Record<string, string> = {};
  for (const name of SWITCHES) forwarding[name] = (await namespace.check(["sysctl", "-n", name])).trim();
  return {
    addresses: await json("ip", "-j", "addr"),
    routes: [await json("ip", "-j", "route"), await json("ip", "-j", "-6", "route")],
    ruleset: await json("nft", "-j", "list", "ruleset"),
    forwarding,
  };
}
