/**
 * zgate itself, as its quick start sets it up: a CA and certificates by `zgate pki`, a policy that allows the
 * target's network, the relay with its own NAT, the agent with the routes that the relay advertises.
 *
 *   client zgate0 ── zgate agent ══ UDP 4433 ══ zgate relay ── zgate0, NAT ── target
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { check } from "../../e2e/harness/command.ts";
import { messageOf } from "../../shared/errors.ts";
import { loadNative } from "../../shared/native/loader.ts";
import { provide } from "../programs.ts";
import { RELAY_ADDRESS, TARGET_NETWORK } from "../site.ts";
import { ZGATE, ZGATE_DIRECTORY, credentials, makeAuthority, startRelay } from "../zgate-process.ts";
import type { Peer } from "./peer.ts";

const PORT = 4433;
const ADMIN_PORT = 9443;
const CLIENT = "bench";
/** Rules in front of the one that allows the target, none of which matches. */
const MANY_RULES = 9_999;

const POLICY = { file: join(ZGATE_DIRECTORY, "policy.yaml"), rulesBefore: 0 };
const LARGE_POLICY = { file: join(ZGATE_DIRECTORY, "large-policy.yaml"), rulesBefore: MANY_RULES };

export const zgate: Peer = zgateWith("zgate", [], POLICY);
/** What lanes are worth under loss is measured against this. */
export const oneLaneZgate: Peer = zgateWith("zgate-one-lane", ["--lanes", "1"], POLICY);
/** What rules cost is measured against this. */
export const manyRulesZgate: Peer = zgateWith("zgate-10000-rules", [], LARGE_POLICY);

/** A policy whose last rule allows the target's network. */
function policyText(rulesBefore: number): string {
  const rules = Array.from({ length: rulesBefore }, (_, index) => {
    const destination = `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
    return `{ id: other-${index}, type: ip_cidr, action: allow, destinations: [${destination}], ports: [tcp/${1 + index}] }`;
  });
  rules.push(`{ id: allow-target, type: ip_cidr, action: allow, destinations: ["${TARGET_NETWORK}"] }`);
  const list = rules.map((rule) => `      - ${rule}\n`).join("");
  return `version: "1.0"\ndefault_action: deny\nclients:\n  ${CLIENT}:\n    rules:\n${list}`;
}

function zgateWith(name: string, agentOptions: readonly string[], policy: { readonly file: string }): Peer {
  return {
    name,
    prepare: () => (prepared ??= prepareOnce()),
    async startRelay({ relay }) {
      const { service, stop } = await startRelay(relay, PORT, ADMIN_PORT, ["--policy", policy.file]);
      return { services: [service], stop };
    },
    startClient({ client }) {
      const relay = `${RELAY_ADDRESS}:${PORT}`;
      const service = client.spawn([ZGATE, "agent", "--relay", relay, ...credentials(CLIENT), ...agentOptions]);
      return Promise.resolve({ services: [service], stop: async () => void (await service.stop()) });
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
  const missing = await provide("curl", "curl");
  if (missing !== undefined) return missing;
  await makeAuthority();
  for (const { file, rulesBefore } of [POLICY, LARGE_POLICY]) writeFileSync(file, policyText(rulesBefore));
  await check([ZGATE, "pki", "issue", "client", CLIENT, "--dir", ZGATE_DIRECTORY]);
  return undefined;
}
