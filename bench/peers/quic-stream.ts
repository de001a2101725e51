/** zgate's QUIC layer with plain bytes on one stream, and no tunnel (`stream-transfer.ts`): the ceiling of the transport. */
import { join } from "node:path";
import { z } from "zod";

import { RELAY_ADDRESS } from "../site.ts";
import { ZGATE_DIRECTORY } from "../zgate-process.ts";
import type { Peer } from "./peer.ts";
import { zgate } from "./zgate.ts";

const PROGRAM = [process.execPath, join(import.meta.dirname, "..", "stream-transfer.ts")];
const SERVER = `${RELAY_ADDRESS}:4440`;
const report = z.object({ bytes: z.number(), seconds: z.number(), cpuSeconds: z.number() });

export const quicStream: Peer = {
  name: "quic-stream",
  prepare: () => zgate.prepare(),
  async startRelay({ relay }) {
    const service = relay.spawn([...PROGRAM, "server", SERVER, ZGATE_DIRECTORY]);
    await service.waitForOutput(/^ready$/m);
    return { services: [service], stop: async () => void (await service.stop()) };
  },
  startClient: () => Promise.resolve({ services: [], stop: () => Promise.resolve() }),
  async transfer({ client }, direction, seconds) {
    const argv = [...PROGRAM, "client", SERVER, ZGATE_DIRECTORY, direction, `${seconds}`];
    const { bytes, seconds: elapsed, cpuSeconds } = report.parse(JSON.parse(await client.check(argv)));
    return { bytes, bitsPerSecond: (bytes * 8) / elapsed, clientCpuSeconds: cpuSeconds };
  },
};
