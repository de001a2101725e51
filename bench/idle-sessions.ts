/**
 * Many agents in one process: a program that opens sessions with a relay and keeps them, without traffic.
 *
 *   node bench/idle-sessions.ts HOST:PORT FOLDER COUNT…     FOLDER: `idle-0.pem`, `idle-0-key.pem`, …, `ca.pem`
 *
 * It opens the first COUNT sessions, each with the lanes that an agent opens, and prints the milliseconds
 * that it took; the next COUNT when SIGUSR2 comes. SIGTERM ends all of them.
 */
import { once } from "node:events";
import { join } from "node:path";

import { Downlink } from "../agent/downlink.ts";
import { AgentSession } from "../agent/session.ts";
import { DEFAULT_LANES } from "../shared/config/constants.ts";
import { Http3Connection } from "../shared/http3/connection.ts";
import { openQuicEndpoint, openTun } from "../shared/native/addon.ts";
import { loadTlsFiles } from "../shared/pki/tls-files.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { LanePump } from "../shared/tunnel/lane-pump.ts";
import { unixMs } from "../shared/units.ts";
import { IDLE_SESSION_HANDSHAKES } from "./constants.ts";

const [relay = "", folder = "", ...counts] = process.argv.slice(2);
const endpoint = openQuicEndpoint({ bind: "0.0.0.0:0", alpn: ["h3"] });
const tun = openTun({ name: "idle0", mtu: 1400, offload: true });
const pump = new LanePump();
const downlink = new Downlink(new DeviceWriter(tun, () => undefined));

async function openSession(name: string): Promise<void> {
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`), ca: join(folder, "ca.pem") };
  const tls = await loadTlsFiles({ ...files, keyExchange: "prefer-pq" }, unixMs(Date.now()));
  const connection = await endpoint.connect(relay, relay.slice(0, relay.lastIndexOf(":")), tls.material);
  const http3 = new Http3Connection(connection, "client");
  const wish = { lanes: DEFAULT_LANES, offload: tun.features.vnetHeader ? "gso" : "none" } as const;
  await AgentSession.open(http3, { authority: relay, tls, wish, pump, downlink, onRoutes: () => {} });
}

process.once("SIGTERM", () => {
  void endpoint.close(0x100, "the measurement is over").then(() => process.exit(0));
});

let opened = 0;
for (const [batch, count] of counts.entries()) {
  if (batch > 0) await once(process, "SIGUSR2");
  const end = opened + Number(count);
  const start = performance.now();
  const worker = async (): Promise<void> => {
    while (opened < end) await openSession(`idle-${opened++}`);
  };
  await Promise.all(Array.from({ length: IDLE_SESSION_HANDSHAKES }, worker));
  process.stdout.write(`batch ${batch} opened in ${performance.now() - start} ms\n`);
}
