/** Round-trip times of ICMP echo requests through a tunnel. */
import type { Site } from "./site.ts";
import { TARGET_ADDRESS } from "./site.ts";

/** How long ping waits for a reply, in milliseconds; a reply that never came counts as this long. */
const REPLY_TIMEOUT_MS = 1_000;

/** The round-trip times of `count` echo requests, in milliseconds. */
export async function pingTimes(site: Site, count: number, intervalSeconds: number): Promise<number[]> {
  const { stdout } = await site.client.run(
    ["ping", "-n", "-c", `${count}`, "-i", `${intervalSeconds}`, "-W", `${REPLY_TIMEOUT_MS / 1000}`, TARGET_ADDRESS],
    { timeoutMs: count * intervalSeconds * 1000 + 10 * REPLY_TIMEOUT_MS },
  );
  const times = parsePing(stdout);
  return [...times, ...Array.from({ length: Math.max(0, count - times.length) }, () => REPLY_TIMEOUT_MS)];
}

/** The times that ping(8) printed, in milliseconds and in the order of the replies. */
export function parsePing(output: string): number[] {
  return [...output.matchAll(/ time=([\d.]+) ms$/gm)].map((match) => Number(match[1]));
}
