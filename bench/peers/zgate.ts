/**
 * zgate itself, as its quick start sets it up: a CA and certificates by `zgate pki`, a policy that allows the
 * target's network, the relay with its own NAT, the agent with the routes that the relay advertises.
 *
 *   client zgate0 ── zgate agent ══ UDP 4433 ══ zgate relay ── zgate0, NAT ── target
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { check } from "../../e2e/harness/command.ts";
import { waitFor } from "../../e2e/harness/process.ts";
import { messageOf } from "../../shared/errors.ts";
import { loadNative } from "../../shared/native/loader.ts";
import { TUNNEL_UP_TIMEOUT_MS } from "../constants.ts";
import { RELAY_ADDRESS, TARGET_NETWORK } from "../site.ts";
import type { Peer } from "./peer.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const DIRECTORY = join(ROOT, "bench", "out", "zgate");
const PROGRAM = join(ROOT, "cli", "zgate");
const CLIENT = "bench";
const POLICY = `version: "1.0"
default_action: deny
clients:
  ${CLIENT}:
    rules:
      - { id: allow-target, type: ip_cidr, action: allow, destinations: ["${TARGET_NETWORK}"] }
`;

export const zgate: Peer = zgateWith("zgate", []);
/** What lanes are worth under loss is measured against this. */
export const oneLaneZgate: Peer = zgateWith("zgate-one-lane", ["--lanes", "1"]);

function zgateWith(name: string, agentOptions: readonly string[]): Peer {
  const credentials = (end: string): string[] => [
    ...["--cert", join(DIRECTORY, `${end}.pem`), "--key", join(DIRECTORY, `${end}-key.pem`)],
    ...["--ca", join(DIRECTORY, "ca.pem")],
  ];
  return {
    name,
    prepare: () => (prepared ??= prepareOnce()),
    async startRelay({ relay }) {
      const stateDir = mkdtempSync(join(DIRECTORY, "state-"));
      const service = relay.spawn([
        ...[PROGRAM, "relay", "--listen", `${RELAY_ADDRESS}:4433`, ...credentials("relay")],
        ...["--policy", join(DIRECTORY, "policy.yaml"), "--state-dir", stateDir, "--admin", "127.0.0.1:9443"],
      ]);
      await waitFor(
        "the relay's /readyz",
        async () => {
          if (service.status !== undefined) throw service.failure("did not become ready");
          return (await relay.run(["curl", "-fsS", "http://127.0.0.1:9443/readyz"])).code === 0;
        },
        TUNNEL_UP_TIMEOUT_MS,
      );
      return {
        pids: [service.pid],
        async stop() {
          await service.stop();
          rmSync(stateDir, { recursive: true });
        },
      };
    },
    startClient({ client }) {
      const argv = [PROGRAM, "agent", "--relay", `${RELAY_ADDRESS}:4433`, ...credentials(CLIENT), ...agentOptions];
      const service = client.spawn(argv);
      return Promise.resolve({ pids: [service.pid], stop: async () => void (await service.stop()) });
    },
  };
}

let prepared: Promise<string | undefined> | undefined;

async function prepareOnce(): Promise<string | undefined> {
  try {
    loadNative();
  } catch (thrown) {
    return messageOf(thrown);
  }
  rmSync(DIRECTORY, { recursive: true, force: true });
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(join(DIRECTORY, "policy.yaml"), POLICY);
  const pki = (...args: string[]): Promise<string> => check([PROGRAM, "pki", ...args, "--dir", DIRECTORY]);
  await pki("init");
  await pki("issue", "relay", "relay", "--san", RELAY_ADDRESS);
  await pki("issue", "client", CLIENT);
  return undefined;
}
