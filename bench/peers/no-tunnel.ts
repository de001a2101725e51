/** No tunnel: the client routes to the target through the relay. The ceiling of the path. */
import { RELAY_ADDRESS, TARGET_NETWORK, forwardAndMasquerade } from "../site.ts";
import type { Peer } from "./peer.ts";

export const noTunnel: Peer = {
  name: "no-tunnel",
  prepare: () => Promise.resolve(undefined),
  startRelay({ relay }) {
    forwardAndMasquerade(relay);
    return Promise.resolve({ pids: [], stop: () => Promise.resolve() });
  },
  startClient({ client }) {
    const hasDefault = client.ip("route", "show", "default") !== "";
    const gateway = hasDefault ? [] : ["via", RELAY_ADDRESS];
    if (!hasDefault) client.ip("route", "add", TARGET_NETWORK, ...gateway);
    return Promise.resolve({
      pids: [],
      stop() {
        if (!hasDefault) client.ip("route", "del", TARGET_NETWORK);
        return Promise.resolve();
      },
    });
  },
};
