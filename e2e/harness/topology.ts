/**
 * The network of the end-to-end tests and of the demo: agents somewhere on the internet, a relay with a leg in
 * a private network, and targets that only the relay reaches. Everything is routed, nothing bridged.
 *
 *   agent-1 ── 198.51.100.1 ─┐                              ┌─ 10.50.1.1 ── target-a 10.50.1.2
 *              2001:db8:1::1 │                              │  fd50:0:0:1::1         fd50:0:0:1::2
 *                            ├─ internet ── 192.0.2.1 relay ┤
 *   agent-2 ── 198.51.100.5 ─┘            2001:db8::1       └─ 10.50.2.1 ── target-b 10.50.2.2
 *              2001:db8:2::1                                   fd50:0:0:2::1         fd50:0:0:2::2
 *
 * Agents and relay have a default route to the internet; the targets have none: they answer the relay only.
 */
import { connect, Namespace } from "./namespace.ts";

export const RELAY = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" } as const;
export const TARGET_A = { ipv4: "10.50.1.2", ipv6: "fd50:0:0:1::2" } as const;
export const TARGET_B = { ipv4: "10.50.2.2", ipv6: "fd50:0:0:2::2" } as const;

/** The private network with both targets in it. */
export const PRIVATE_NETWORK = { ipv4: "10.50.0.0/16", ipv6: "fd50::/48" } as const;
/** One client, which may go anywhere in it. */
export const PRIVATE_NETWORK_POLICY = `
version: "1.0"
clients:
  client-1:
    rules:
      - id: private-network
        type: ip_cidr
        action: allow
        destinations: [${PRIVATE_NETWORK.ipv4}, "${PRIVATE_NETWORK.ipv6}"]
`;

export interface Topology {
  readonly agents: readonly [Namespace, Namespace];
  readonly internet: Namespace;
  readonly relay: Namespace;
  readonly targetA: Namespace;
  readonly targetB: Namespace;
  /** Kills what runs in the namespaces and deletes them. */
  close(): void;
}

/** Lays the network; `label` is unique within this process. Needs root. */
export function layTopology(label: string): Topology {
  const make = (name: string): Namespace => {
    const namespace = Namespace.create(`${label}.${name}`);
    // No waiting for duplicate addresses, no addresses that appear on their own.
    namespace.sysctl({ "net.ipv6.conf.default.accept_dad": "0", "net.ipv6.conf.default.accept_ra": "0" });
    return namespace;
  };
  const internet = make("internet");
  const relay = make("relay");
  const agents = [make("agent-1"), make("agent-2")] as const;
  const targetA = make("target-a");
  const targetB = make("target-b");

  agents.forEach((agent, index) => {
    const base = 4 * index;
    connect(
      { namespace: agent, name: "wan", addresses: [`198.51.100.${base + 1}/30`, `2001:db8:${index + 1}::1/64`] },
      {
        namespace: internet,
        name: `agent${index + 1}`,
        addresses: [`198.51.100.${base + 2}/30`, `2001:db8:${index + 1}::2/64`],
      },
    );
    agent.ip("route", "add", "default", "via", `198.51.100.${base + 2}`);
    agent.ip("-6", "route", "add", "default", "via", `2001:db8:${index + 1}::2`);
  });
  connect(
    { namespace: relay, name: "wan", addresses: [`${RELAY.ipv4}/24`, `${RELAY.ipv6}/64`] },
    { namespace: internet, name: "relay", addresses: ["192.0.2.2/24", "2001:db8::2/64"] },
  );
  relay.ip("route", "add", "default", "via", "192.0.2.2");
  relay.ip("-6", "route", "add", "default", "via", "2001:db8::2");
  internet.sysctl({ "net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1" });
  for (const [namespace, name, { ipv4, ipv6 }, leg] of [
    [targetA, "lan-a", TARGET_A, 1],
    [targetB, "lan-b", TARGET_B, 2],
  ] as const) {
    connect(
      { namespace: relay, name, addresses: [`10.50.${leg}.1/24`, `fd50:0:0:${leg}::1/64`] },
      { namespace, name: "lan", addresses: [`${ipv4}/24`, `${ipv6}/64`] },
    );
  }

  const all = [...agents, internet, relay, targetA, targetB];
  return {
    agents,
    internet,
    relay,
    targetA,
    targetB,
    close: () => {
      for (const namespace of all) namespace.delete();
    },
  };
}
