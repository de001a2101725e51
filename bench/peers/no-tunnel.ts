/** No tunnel: on the direct path the client routes to the target through the relay. The ceiling of the path. */
import { RELAY_ADDRESS, TARGET_NETWORK, forwardAndMasquerade } from "../site.ts";
import type { Peer } from "./peer.ts";

export const noTunnel: Peer = {
  name: "no-tunnel",
  prepare: () => Promise.resolve(undefined),
  startRelay({ relay }) {
    forwardAndMasquerade(relay);
    return Promise.resolve({ services: [], stop: () => Promise.resolve() });
  },
  startClient({ client }) {
    const route = [TARGET_NETWORK, "via", RELAY_ADDRESS];
    client.ip("route", "add", ...route);
    return Promise.resolve({
      services: [],
      stop() {
        client.ip("route", "del", ...route);
        return Promise.resolve();
      },
    });
  },
};
