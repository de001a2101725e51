/**
 * A well-behaved agent's view of the relay while another peer attacks it: a ping every 5 ms and a download,
 * from the beginning of the attack to its end.
 */
import { contentSha256 } from "../harness/content.ts";
import type { Namespace } from "../harness/namespace.ts";
import type { Service } from "../harness/process.ts";
import { FIRST } from "../harness/priority.ts";

/** Its tunnel address: it comes first. */
export const NEIGHBOUR = "10.77.0.2";
const PING_INTERVAL_S = 0.005;
const DOWNLOAD_BYTES = 5_000_000;
/** Below what the tunnel carries, so that the ping measures the relay and not the download's queue: bytes a second. */
const DOWNLOAD_RATE = "10M";

export interface Experience {
  readonly sent: number;
  readonly lost: number;
  /** Of the pings' round trips, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The download came whole and as it was sent. */
  readonly downloadIsRight: boolean;
}

export class Neighbour {
  readonly #ping: Service;
  readonly #download: Promise<string>;

  /** Begins to watch, through the tunnel of the agent in `namespace`. */
  constructor(namespace: Namespace, host: string) {
    this.#ping = namespace.spawn([...FIRST, "ping", "-n", "-i", `${PING_INTERVAL_S}`, host]);
    const url = `http://${host}/bytes/${DOWNLOAD_BYTES}`;
    this.#download = namespace.check(
      [...FIRST, "sh", "-c", `curl -sS -m 50 --limit-rate ${DOWNLOAD_RATE} ${url} | sha256sum`],
      {
        timeoutMs: 60_000,
      },
    );
    this.#download.catch(() => {}); // Told by `finish`.
  }

  /** Ends the watch when the download is complete. */
  async finish(): Promise<Experience> {
    const [sum] = (await this.#download).split(" ");
    this.#ping.signal("SIGINT");
    await this.#ping.waitForExit();
    const { stdout } = this.#ping;
    const times = new Map<number, number>();
    for (const [, sequence, ms] of stdout.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)) {
      times.set(Number(sequence), Number(ms));
    }
    // The very last ones may be under way still; between them none may be missing.
    const sent = Math.max(0, ...times.keys());
    const sorted = [...times.values()].toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? Infinity;
    return {
      sent,
      lost: sent - times.size,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      downloadIsRight: sum === contentSha256(DOWNLOAD_BYTES),
    };
  }
}
