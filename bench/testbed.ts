/** A peer's tunnel, up on a network of its own: what a scenario measures. */
import { waitFor } from "../e2e/harness/process.ts";
import { ZgateError, messageOf } from "../shared/errors.ts";
import { TUNNEL_UP_TIMEOUT_MS } from "./constants.ts";
import type { Peer, TunnelEnd } from "./peers/peer.ts";
import { TARGET_ADDRESS, laySite } from "./site.ts";
import type { Path, Site } from "./site.ts";

export interface Testbed {
  readonly peer: Peer;
  readonly site: Site;
  readonly relay: TunnelEnd;
  /** The client's end; `redial` replaces it. */
  client: TunnelEnd;
}

/** Lays the network, starts both ends and waits for the first packet through them, where they carry packets. */
export async function openTestbed(peer: Peer, label: string, path: Path | undefined): Promise<Testbed> {
  const site = await laySite(label, path);
  const ends: TunnelEnd[] = [];
  try {
    const relay = await peer.startRelay(site);
    ends.push(relay);
    const client = await peer.startClient(site);
    ends.push(client);
    if (peer.transfer !== undefined) return { peer, site, relay, client };
    const ping = ["ping", "-n", "-c", "1", "-W", "1", TARGET_ADDRESS];
    await waitFor("a ping", async () => (await site.client.run(ping)).code === 0, TUNNEL_UP_TIMEOUT_MS);
    return { peer, site, relay, client };
  } catch (thrown) {
    const reports = ends.flatMap(({ services }) =>
      services.map((service) => service.failure("carried no ping").message),
    );
    await site.close();
    throw new ZgateError("ZG_HOST_COMMAND", [messageOf(thrown), ...reports].join("\n"), { cause: thrown });
  }
}

export async function closeTestbed(bed: Testbed): Promise<void> {
  await bed.client.stop();
  await bed.relay.stop();
  await bed.site.close();
}
