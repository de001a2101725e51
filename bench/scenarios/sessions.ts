/** A thousand idle sessions on one relay: what each costs it in memory, and how fast they open. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { issueLeaf } from "../../shared/pki/issuance.ts";
import {
  IDLE_SESSIONS,
  IDLE_SESSIONS_BEFORE,
  IDLE_SESSIONS_TIMEOUT_MS,
  IDLE_SETTLE_MS,
  LONG_ROUNDS,
} from "../constants.ts";
import type { Scenario } from "../scenario.ts";
import { RELAY_ADDRESS } from "../site.ts";
import { ZGATE_DIRECTORY, startRelay } from "../zgate-process.ts";

const PROGRAM = join(import.meta.dirname, "..", "idle-sessions.ts");
/** Beside the relay that the other scenarios measure, in the same namespace. */
const PORT = 4434;
const ADMIN_PORT = 9444;
const POLICY_FILE = join(ZGATE_DIRECTORY, "idle-policy.yaml");

export const idleSessionsScenario: Scenario = {
  name: `sessions-${IDLE_SESSIONS}`,
  peers: ["zgate"],
  path: undefined,
  rounds: LONG_ROUNDS,
  async measure({ site }) {
    await makeClients(IDLE_SESSIONS_BEFORE + IDLE_SESSIONS);
    const options = ["--policy", POLICY_FILE, "--tun-name", "zgate1", "--pool4", "10.78.0.0/16"];
    const relay = await startRelay(site.relay, PORT, ADMIN_PORT, [...options, "--pool6", "fd78::/64"]);
    const argv = [process.execPath, PROGRAM, `${RELAY_ADDRESS}:${PORT}`, ZGATE_DIRECTORY];
    const agents = site.client.spawn([...argv, `${IDLE_SESSIONS_BEFORE}`, `${IDLE_SESSIONS}`]);
    try {
      await agents.waitForOutput(/batch 0 opened/, IDLE_SESSIONS_TIMEOUT_MS);
      await pause(IDLE_SETTLE_MS);
      const before = residentBytes(relay.service.pid);
      agents.signal("SIGUSR2");
      const [, milliseconds] = await agents.waitForOutput(/batch 1 opened in ([\d.]+) ms/, IDLE_SESSIONS_TIMEOUT_MS);
      await pause(IDLE_SETTLE_MS);
      return {
        sessionMemory: (residentBytes(relay.service.pid) - before) / IDLE_SESSIONS,
        connectRate: IDLE_SESSIONS / (Number(milliseconds) / 1000),
      };
    } finally {
      await agents.stop();
      await relay.stop();
    }
  },
};

/** Certificates `idle-0`, `idle-1`, … where there are none yet, and a policy that knows these clients. */
async function makeClients(count: number): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `idle-${index}`);
  for (const name of names) {
    if (existsSync(join(ZGATE_DIRECTORY, `${name}-key.pem`))) continue;
    await issueLeaf({ folder: ZGATE_DIRECTORY, kind: "client", name, names: [], keyType: "p256", now: new Date() });
  }
  const clients = names.map((name) => `  ${name}: { rules: [{ id: deny, type: default, action: deny }] }\n`);
  writeFileSync(POLICY_FILE, `version: "1.0"\nclients:\n${clients.join("")}`);
}

/** Resident memory of a process, in bytes (proc_pid_status(5), VmRSS). */
function residentBytes(pid: number): number {
  const [, kilobytes] = readFileSync(`/proc/${pid}/status`, "latin1").match(/^VmRSS:\s+(\d+) kB$/m) ?? [];
  return Number(kilobytes) * 1024;
}
