/** iperf3 through a tunnel: a one-shot server on the target, the client's own report read strictly. */
import { z } from "zod";

import { ZgateError } from "../shared/errors.ts";
import { TCP_CONGESTION_CONTROL } from "./constants.ts";
import type { Site } from "./site.ts";
import { TARGET_ADDRESS } from "./site.ts";

/** How long a TCP run may last beyond its transfer, in milliseconds: its control connection meets the loss too. */
const TCP_OVERTIME_MS = 30_000;
/**
 * How long a UDP run may, in milliseconds. iperf3 waits half a minute for the answer to the one datagram that
 * opens its stream, and an overloaded tunnel loses that one too.
 */
const UDP_OVERTIME_MS = 4_000;

const total = z.object({ bytes: z.number(), bits_per_second: z.number() });
const report = z.object({
  error: z.string().optional(),
  end: z.object({
    sum: z.object({ packets: z.number(), lost_packets: z.number(), seconds: z.number() }).optional(),
    sum_received: total.optional(),
    sum_received_bidir_reverse: total.optional(),
  }),
});

export type Direction = "up" | "down" | "both";

export interface TcpTransfer {
  /** Payload bits a second that arrived, of all flows and both directions together. */
  readonly bitsPerSecond: number;
  /** Payload bytes that arrived. */
  readonly bytes: number;
}

/** Moves bytes over `flows` TCP connections for `seconds`, from client to target (`up`), back, or both. */
export async function transferTcp(
  site: Site,
  direction: Direction,
  flows: number,
  seconds: number,
): Promise<TcpTransfer> {
  const way = { up: [], down: ["--reverse"], both: ["--bidir"] }[direction];
  const args = ["--time", `${seconds}`, "--parallel", `${flows}`, "--congestion", TCP_CONGESTION_CONTROL, ...way];
  const done = await iperf(site, args, seconds * 1000 + TCP_OVERTIME_MS);
  if (done === undefined) throw new ZgateError("ZG_HOST_COMMAND", `iperf3 ${args.join(" ")}: no report in time`);
  const received = [done.end.sum_received, done.end.sum_received_bidir_reverse].filter((sum) => sum !== undefined);
  return {
    bitsPerSecond: received.reduce((bits, sum) => bits + sum.bits_per_second, 0),
    bytes: received.reduce((bytes, sum) => bytes + sum.bytes, 0),
  };
}

export interface UdpTransfer {
  /** Datagrams a second that arrived. */
  readonly packetsPerSecond: number;
  /** The part that did not arrive, 0 to 1. */
  readonly loss: number;
}

/**
 * Sends UDP datagrams of `payloadBytes` at `packetsPerSecond` from client to target. A run that could not even
 * open its stream in time lost everything.
 */
export async function transferUdp(
  site: Site,
  payloadBytes: number,
  packetsPerSecond: number,
  seconds: number,
): Promise<UdpTransfer> {
  const bitsPerSecond = Math.round(packetsPerSecond * payloadBytes * 8);
  const args = [
    ...["--udp", "--length", `${payloadBytes}`, "--bitrate", `${bitsPerSecond}`, "--pacing-timer", "200"],
    // A count, because iperf3's time takes whole seconds.
    ...["--blockcount", `${Math.ceil(packetsPerSecond * seconds)}`],
  ];
  const sum = (await iperf(site, args, seconds * 1000 + UDP_OVERTIME_MS))?.end.sum;
  if (sum === undefined || sum.packets === 0) return { packetsPerSecond: 0, loss: 1 };
  return { packetsPerSecond: (sum.packets - sum.lost_packets) / sum.seconds, loss: sum.lost_packets / sum.packets };
}

/** iperf3's report; undefined when it was not there after `timeoutMs`. ZG_HOST_COMMAND when it reports an error. */
async function iperf(
  site: Site,
  args: readonly string[],
  timeoutMs: number,
): Promise<z.infer<typeof report> | undefined> {
  const server = site.target.spawn(["iperf3", "--server", "--one-off", "--forceflush"]);
  try {
    await server.waitForOutput(/Server listening/);
    const argv = ["iperf3", "--client", TARGET_ADDRESS, "--json", ...args];
    const { stdout } = await site.client.run(argv, { timeoutMs });
    if (stdout === "") return undefined;
    const parsed = report.parse(JSON.parse(stdout));
    if (parsed.error !== undefined) throw new ZgateError("ZG_HOST_COMMAND", `${argv.join(" ")}: ${parsed.error}`);
    return parsed;
  } finally {
    await server.stop();
  }
}
