/** Connect time, cold: from the start of the client's program to the first packet there and back. */
import { join } from "node:path";

import { BAR_ROUNDS, TUNNEL_UP_TIMEOUT_MS } from "../constants.ts";
import type { Scenario } from "../scenario.ts";
import { TARGET_ADDRESS } from "../site.ts";

const PROGRAM = [process.execPath, join(import.meta.dirname, "..", "first-reply.ts")];

export function connectScenario(peers: readonly string[]): Scenario {
  return {
    name: "connect-cold",
    peers,
    path: undefined,
    rounds: BAR_ROUNDS,
    async measure(bed) {
      await bed.client.stop();
      const echo = bed.site.target.spawn([...PROGRAM, "echo"]);
      const probe = bed.site.client.spawn([...PROGRAM, "probe", TARGET_ADDRESS]);
      try {
        await Promise.all([echo.waitForOutput(/ready/), probe.waitForOutput(/ready/)]);
        const start = Date.now();
        bed.client = await bed.peer.startClient(bed.site);
        const [reply] = await probe.waitForOutput(/^\d{10,}$/m, TUNNEL_UP_TIMEOUT_MS);
        return { connectTime: Number(reply) - start };
      } finally {
        await Promise.all([echo.stop(), probe.stop()]);
      }
    },
  };
}
