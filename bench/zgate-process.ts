/** zgate's programs as the benchmark runs them: certificates, a relay in a namespace, ready when this says so. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

import { check } from "../e2e/harness/command.ts";
import type { Namespace } from "../e2e/harness/namespace.ts";
import { waitFor } from "../e2e/harness/process.ts";
import type { Service } from "../e2e/harness/process.ts";
import { TUNNEL_UP_TIMEOUT_MS } from "./constants.ts";
import { RELAY_ADDRESS } from "./site.ts";

const ROOT = join(import.meta.dirname, "..");
export const ZGATE = join(ROOT, "cli", "zgate");
/** Certificates, policies and state of a run. */
export const ZGATE_DIRECTORY = join(ROOT, "bench", "out", "zgate");

/** A fresh CA in `ZGATE_DIRECTORY`, and a certificate for the relay at its address. */
export async function makeAuthority(): Promise<void> {
  rmSync(ZGATE_DIRECTORY, { recursive: true, force: true });
  mkdirSync(ZGATE_DIRECTORY, { recursive: true });
  await check([ZGATE, "pki", "init", "--dir", ZGATE_DIRECTORY]);
  await check([ZGATE, "pki", "issue", "relay", "relay", "--san", RELAY_ADDRESS, "--dir", ZGATE_DIRECTORY]);
}

/** `--cert`, `--key` and `--ca` of the holder `name`. */
export function credentials(name: string): string[] {
  const file = (suffix: string): string => join(ZGATE_DIRECTORY, `${name}${suffix}.pem`);
  return ["--cert", file(""), "--key", file("-key"), "--ca", join(ZGATE_DIRECTORY, "ca.pem")];
}

export interface RelayProcess {
  readonly service: Service;
  stop(): Promise<void>;
}

/**
 * A relay on `port` of the relay's address, with its admin server on the port of 127.0.0.1 that is
 * `adminPort`; resolves when `/readyz` answers.
 */
export async function startRelay(
  namespace: Namespace,
  port: number,
  adminPort: number,
  options: readonly string[],
): Promise<RelayProcess> {
  const stateDir = mkdtempSync(join(ZGATE_DIRECTORY, "state-"));
  const service = namespace.spawn([
    ...[ZGATE, "relay", "--listen", `${RELAY_ADDRESS}:${port}`, ...credentials("relay")],
    ...["--admin", `127.0.0.1:${adminPort}`, "--state-dir", stateDir, ...options],
  ]);
  const look = async (): Promise<"ready" | "ended" | false> => {
    if (service.status !== undefined) return "ended";
    return (await namespace.run(["curl", "-fsS", `http://127.0.0.1:${adminPort}/readyz`])).code === 0 && "ready";
  };
  const outcome = await waitFor("/readyz", look, TUNNEL_UP_TIMEOUT_MS).catch(() => "late");
  if (outcome !== "ready") {
    await service.stop();
    throw service.failure("did not become ready");
  }
  return {
    service,
    async stop() {
      await service.stop();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}
