/**
 * Throughput of the addon alone: plain bytes on QUIC streams from one process to another over loopback, with
 * the CPU time of both. What the tunnel adds is measured against this.
 *
 *   node bench/quic-stream.ts [--seconds 5] [--streams 1] [--congestion cubic]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { openQuicEndpoint } from "../shared/native/addon.ts";
import { material, TestAuthority } from "../shared/native/test-certificates.ts";
import type { QuicStream, TlsMaterial, TransportOptions } from "../shared/native/quic.ts";

const SLAB_BYTES = 64 * 1024;
const ROLE = "ZGATE_BENCH_ROLE";

interface Start {
  readonly tls: TlsMaterial;
  readonly transport: TransportOptions;
}

interface Report {
  readonly bytes: number;
  readonly cpuSeconds: number;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Reads every stream until its end and adds up. */
function sink(stream: QuicStream, slab: Uint8Array, add: (bytes: number) => void): void {
  const pull = (): void => {
    for (;;) {
      const count = stream.read(slab, 0, slab.length);
      if (count <= 0) return;
      add(count);
    }
  };
  stream.onReadable = pull;
  pull();
}

function source(stream: QuicStream, slab: Uint8Array): void {
  const push = (): void => {
    while (stream.write(slab, 0, slab.length) > 0);
  };
  stream.onWritable = push;
  push();
}

/** The child: a server that swallows. */
async function serve(): Promise<void> {
  const [start] = (await once(process, "message")) as [Start];
  const server = openQuicEndpoint({
    bind: "127.0.0.1:0",
    alpn: ["bench"],
    server: start.tls,
    transport: start.transport,
  });
  const slab = new Uint8Array(4 * SLAB_BYTES);
  let bytes = 0;
  server.onConnection = (connection) => {
    connection.onStream = (stream) => sink(stream, slab, (count) => (bytes += count));
  };
  process.on("message", async (question) => {
    if (question === "report") process.send?.({ bytes, cpuSeconds: cpuSeconds() } satisfies Report);
    else await server.close(0, "").then(() => process.disconnect?.());
  });
  process.send?.(server.localAddress);
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "5" },
      streams: { type: "string", default: "1" },
      congestion: { type: "string", default: "cubic" },
    },
  });
  const authority = await TestAuthority.root("bench CA");
  const congestion = values.congestion;
  if (congestion !== "cubic" && congestion !== "bbr" && congestion !== "newreno") {
    throw new RangeError(`--congestion ${congestion}: expected cubic, bbr or newreno`);
  }
  const transport = { congestion } as const;
  const server = fork(import.meta.filename, { env: { ...process.env, [ROLE]: "server" } });
  server.send({ tls: material(await authority.leaf("server"), authority), transport } satisfies Start);
  const [address] = (await once(server, "message")) as [string];
  const client = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["bench"], transport });
  const connection = await client.connect(address, "localhost", material(await authority.leaf("client"), authority));
  const slab = new Uint8Array(SLAB_BYTES);
  for (let i = 0; i < Number(values.streams); i++) source(await connection.openBidi(), slab);

  const ask = async (): Promise<Report> => {
    server.send("report");
    const [report] = (await once(server, "message")) as [Report];
    return report;
  };
  const warmUpMs = 1000;
  await new Promise((resolve) => setTimeout(resolve, warmUpMs));
  const [startMs, startCpu, before] = [performance.now(), cpuSeconds(), await ask()];
  await new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1000));
  const [endMs, endCpu, after] = [performance.now(), cpuSeconds(), await ask()];
  const gigabytes = (after.bytes - before.bytes) / 1e9;
  const seconds = (endMs - startMs) / 1000;
  const { rttMs, cwnd, lostPackets, sentPackets } = connection.stats();
  console.log(
    [
      `${((gigabytes * 1000) / seconds).toFixed(0)} MB/s (${((gigabytes * 8) / seconds).toFixed(2)} Gbit/s)`,
      `CPU s/GB: client ${((endCpu - startCpu) / gigabytes).toFixed(2)}`,
      `server ${((after.cpuSeconds - before.cpuSeconds) / gigabytes).toFixed(2)}`,
      `rtt ${rttMs.toFixed(2)} ms, cwnd ${(cwnd / 1024).toFixed(0)} KiB, lost ${lostPackets} of ${sentPackets}`,
    ].join("; "),
  );
  await client.close(0, "");
  server.send("stop");
  await once(server, "exit");
}

await (process.env[ROLE] === "server" ? serve() : measure());
