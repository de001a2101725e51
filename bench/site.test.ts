import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";

import { buildDelayLine } from "./delay-line.ts";
import { parsePing } from "./ping.ts";
import { RELAY_ADDRESS, laySite } from "./site.ts";
import type { Path } from "./site.ts";
import { quantile } from "./statistics.ts";

const missing = ["iptables", "nft", "cargo"].filter((program) => spawnSync(program, ["--version"]).error !== undefined);
const skip = process.getuid?.() !== 0 ? "needs root" : missing.length > 0 ? `needs ${missing.join(", ")}` : false;

/** Round-trip times from the client to the relay, outside any tunnel. */
async function pingRelay(label: string, path: Path | undefined): Promise<number[]> {
  const site = await laySite(label, path);
  const { stdout } = await site.client.run(["ping", "-n", "-c", "50", "-i", "0.01", "-W", "1", RELAY_ADDRESS]);
  await site.close();
  return parsePing(stdout);
}

describe("the network of a peer", { skip }, () => {
  it("is short and clean on the direct path", async () => {
    const times = await pingRelay("direct", undefined);
    assert.equal(times.length, 50);
    assert.ok(quantile(times, 0.5) < 5);
  });

  it("delays by its round-trip time on the long path", async () => {
    await buildDelayLine();
    const times = await pingRelay("long", { lossPerMille: 0, rttMs: 40 });
    // The delay line is a process: on a busy machine some packets wait longer, and ping(8) ends before the last one.
    assert.ok(times.length > 40, `${times.length} of 50 came back`);
    const [least = NaN] = times.toSorted((a, b) => a - b);
    assert.ok(least >= 40 && least < 45, `40 ms asked for, ${times.join(" ")} ms measured`);
  });

  it("loses at random", async () => {
    const { length } = await pingRelay("half", { lossPerMille: 300, rttMs: 0 });
    // Half of the requests come back (0.7 x 0.7); outside of 8 to 42 of 50 once in 10^6 runs.
    assert.ok(length >= 8 && length <= 42, `${length} of 50 came back`);
  });
});
