/**
 * The network that every peer is measured in, one of its own each. The tunnel runs from client to relay; the
 * relay forwards and masquerades to the target, as a hub-and-spoke VPN does for its services.
 *
 *   direct:  client ────────────── wan veth, 1500 ────────────── relay ── lan veth, 1500 ── target
 *            198.51.100.1                            198.51.100.2   203.0.113.1     203.0.113.2
 *
 *   lossy:   client ── wan veth ── internet ── wan veth ── relay ── lan veth ── target
 *            192.0.2.1   192.0.2.254   198.51.100.254   198.51.100.2
 *                      internet: nft drops at random, the delay line holds what is left
 *
 * On the lossy path super-packets are cut to wire size before the internet sees them, so that loss takes one
 * datagram and not a burst of sixty.
 */
import { Namespace, connect } from "../e2e/harness/namespace.ts";
import type { Service } from "../e2e/harness/process.ts";
import { startDelayLine } from "./delay-line.ts";

export const RELAY_ADDRESS = "198.51.100.2";
export const TARGET_ADDRESS = "203.0.113.2";
export const TARGET_NETWORK = "203.0.113.0/24";

/** What the outer packets meet on their way. */
export interface Path {
  /** Loss in each direction, in packets out of a thousand. */
  readonly lossPerMille: number;
  /** Round-trip time added, in milliseconds. */
  readonly rttMs: number;
}

export interface Site {
  readonly client: Namespace;
  readonly relay: Namespace;
  readonly target: Namespace;
  close(): Promise<void>;
}

/** Lays a network; `path` undefined gives the direct one. `label` is unique within this process. */
export async function laySite(label: string, path: Path | undefined): Promise<Site> {
  const client = Namespace.create(`${label}.client`);
  const relay = Namespace.create(`${label}.relay`);
  const target = Namespace.create(`${label}.target`);
  const relayLan = { namespace: relay, name: "lan", addresses: ["203.0.113.1/24"] };
  connect(relayLan, { namespace: target, name: "lan", addresses: [`${TARGET_ADDRESS}/24`] });
  const internet = path === undefined ? layDirect(client, relay) : layLossy(label, client, relay, path.lossPerMille);
  const delayLine: Service | undefined =
    internet !== undefined && path !== undefined && path.rttMs > 0
      ? await startDelayLine(internet, path.rttMs / 2)
      : undefined;
  return {
    client,
    relay,
    target,
    close: async () => {
      await delayLine?.stop();
      for (const namespace of [client, relay, target, internet]) namespace?.delete();
    },
  };
}

function layDirect(client: Namespace, relay: Namespace): undefined {
  connect(
    { namespace: client, name: "wan", addresses: ["198.51.100.1/24"] },
    { namespace: relay, name: "wan", addresses: [`${RELAY_ADDRESS}/24`] },
  );
}

function layLossy(label: string, client: Namespace, relay: Namespace, lossPerMille: number): Namespace {
  const internet = Namespace.create(`${label}.internet`);
  connect(
    { namespace: client, name: "wan", addresses: ["192.0.2.1/24"] },
    { namespace: internet, name: "west", addresses: ["192.0.2.254/24"] },
  );
  connect(
    { namespace: relay, name: "wan", addresses: [`${RELAY_ADDRESS}/24`] },
    { namespace: internet, name: "east", addresses: ["198.51.100.254/24"] },
  );
  // No default routes: to the target there is no way but the tunnel.
  client.ip("route", "add", "198.51.100.0/24", "via", "192.0.2.254");
  relay.ip("route", "add", "192.0.2.0/24", "via", "198.51.100.254");
  for (const namespace of [client, relay]) namespace.ip("link", "set", "wan", "gso_max_segs", "1");
  internet.sysctl({ "net.ipv4.ip_forward": "1" });
  if (lossPerMille > 0) {
    // Before the delay line's place in the same hook (iptables' filter table, priority 0).
    internet.nft(`table ip loss {
      chain forward {
        type filter hook forward priority -10;
        numgen random mod 1000 < ${lossPerMille} counter drop
      }
    }`);
  }
  return internet;
}

/** What the hub of each VPN but ours needs from its host: our relay sets its own forwarding and NAT. */
export function forwardAndMasquerade(relay: Namespace): void {
  relay.sysctl({ "net.ipv4.ip_forward": "1" });
  relay.nft(`table ip bench {
    chain postrouting {
      type nat hook postrouting priority 100;
      oifname "lan" masquerade
    }
  }`);
}
