/**
 * wireguard-go, as Debian packages it and as the Go module proxy has it, set up as wg(8) and wg-quick(8) say:
 * the device by the program in the foreground, keys by `wg setconf` through its UAPI socket, MTU 1420,
 * addresses and routes by ip(8).
 *
 *   client 10.91.0.2 ── wireguard-go ══ UDP 51820 ══ wireguard-go ── 10.91.0.1 relay ── masquerade ── target
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { onProcessEnd } from "../../e2e/harness/cleanup.ts";
import { checkSync, run } from "../../e2e/harness/command.ts";
import type { Namespace } from "../../e2e/harness/namespace.ts";
import { waitFor } from "../../e2e/harness/process.ts";
import { INSTALL_TIMEOUT_MS, WIREGUARD_GO_MODULE } from "../constants.ts";
import { provide } from "../programs.ts";
import { RELAY_ADDRESS, TARGET_NETWORK, forwardAndMasquerade } from "../site.ts";
import type { Site } from "../site.ts";
import type { Peer, TunnelEnd } from "./peer.ts";

/** Where wireguard-go makes its UAPI sockets (ipc/uapi_linux.go); shared by all network namespaces. */
const UAPI_DIRECTORY = "/var/run/wireguard";
/** The MTU that wg-quick(8) takes on a path of 1500 bytes. */
const MTU_BYTES = 1420;
const PORT = 51_820;
const DIRECTORY = join(import.meta.dirname, "..", "out", "wireguard-go");

export const debianWireguardGo: Peer = wireguardGo("wireguard-go-debian", "wireguard-go", async () => {
  return (await provide("wg", "wireguard-tools")) ?? (await provide("wireguard-go", "wireguard-go"));
});

export const newestWireguardGo: Peer = wireguardGo("wireguard-go-newest", join(DIRECTORY, "wireguard"), async () => {
  const missing = await provide("wg", "wireguard-tools");
  if (missing !== undefined) return missing;
  const version = WIREGUARD_GO_MODULE.slice(WIREGUARD_GO_MODULE.indexOf("@") + 1);
  const go = existsSync("/usr/local/go/bin/go") ? "/usr/local/go/bin/go" : "go";
  const built = await run([go, "version", "-m", join(DIRECTORY, "wireguard")]);
  if (built.code === 0 && built.stdout.includes(version)) return undefined;
  const install = await run([go, "install", WIREGUARD_GO_MODULE], {
    env: { GOBIN: DIRECTORY, CGO_ENABLED: "0" },
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  return install.code === 0 ? undefined : `go install ${WIREGUARD_GO_MODULE}: ${install.stderr.trim().slice(-300)}`;
});

interface KeyPair {
  readonly privateKey: string;
  readonly publicKey: string;
}

let devices = 0;

function wireguardGo(name: string, program: string, prepare: () => Promise<string | undefined>): Peer {
  const keys = new Map<"relay" | "client", KeyPair>();
  const keyPair = (end: "relay" | "client"): KeyPair => {
    const pair = keys.get(end) ?? makeKeyPair();
    keys.set(end, pair);
    return pair;
  };
  return {
    name,
    prepare,
    async startRelay({ relay }: Site) {
      forwardAndMasquerade(relay);
      const config = `[Interface]\nPrivateKey = ${keyPair("relay").privateKey}\nListenPort = ${PORT}
[Peer]\nPublicKey = ${keyPair("client").publicKey}\nAllowedIPs = 10.91.0.2/32\n`;
      return startDevice(relay, program, config, "10.91.0.1/24", []);
    },
    async startClient({ client }: Site) {
      const config = `[Interface]\nPrivateKey = ${keyPair("client").privateKey}
[Peer]\nPublicKey = ${keyPair("relay").publicKey}\nAllowedIPs = 10.91.0.1/32, ${TARGET_NETWORK}
Endpoint = ${RELAY_ADDRESS}:${PORT}\n`;
      return startDevice(client, program, config, "10.91.0.2/24", [TARGET_NETWORK]);
    },
  };
}

function makeKeyPair(): KeyPair {
  const privateKey = checkSync(["wg", "genkey"]).trim();
  return { privateKey, publicKey: checkSync(["wg", "pubkey"], { input: privateKey }).trim() };
}

async function startDevice(
  namespace: Namespace,
  program: string,
  config: string,
  address: string,
  routes: readonly string[],
): Promise<TunnelEnd> {
  // The name is a file name in a directory that all namespaces share.
  const device = `zb${process.pid}-${(devices++).toString(36)}`;
  const socket = join(UAPI_DIRECTORY, `${device}.sock`);
  const forget = onProcessEnd(() => rmSync(socket, { force: true }));
  const service = namespace.spawn([program, "--foreground", device], { env: { LOG_LEVEL: "error" } });
  await waitFor(`the UAPI socket of ${device}`, () => {
    if (service.status !== undefined) throw service.failure("did not open its UAPI socket");
    return existsSync(socket);
  });
  const configFile = join(DIRECTORY, `${device}.conf`);
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(configFile, config, { mode: 0o600 });
  await namespace.check(["wg", "setconf", device, configFile]);
  rmSync(configFile);
  namespace.ip("address", "add", address, "dev", device);
  namespace.ip("link", "set", device, "mtu", `${MTU_BYTES}`, "up");
  for (const route of routes) namespace.ip("route", "add", route, "dev", device);
  return {
    services: [service],
    async stop() {
      await service.stop();
      rmSync(socket, { force: true });
      forget();
    },
  };
}
