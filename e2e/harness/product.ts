/**
 * zgate as its users run it: certificates, a policy file, `zgate relay` and `zgate agent` as processes in
 * namespaces, and what they log.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initAuthority } from "../../shared/pki/authority.ts";
import { issueLeaf } from "../../shared/pki/issuance.ts";
import { onProcessEnd } from "./cleanup.ts";
import type { Namespace } from "./namespace.ts";
import type { ExitStatus, Service } from "./process.ts";
import { waitFor } from "./process.ts";
import { RELAY } from "./topology.ts";

const ZGATE = join(import.meta.dirname, "../../cli/zgate");
/** The device's name at both ends: they are in different namespaces. */
export const DEVICE = "zgate0";
/** The relay's admin address in its namespace. */
const ADMIN = "127.0.0.1:9443";
/**
 * How long a start may take, in milliseconds: it needs a second of processor time, most of it for Node, and a machine
 * that runs something else as well may not give it that for half a minute.
 */
const START_TIMEOUT_MS = 60_000;

/** A folder that goes with the process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "zgate-e2e-"));
  onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A CA of its own, in a folder of its own. */
export class Certificates {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** A CA and a certificate for the relay at its addresses in the topology. */
  static async create(): Promise<Certificates> {
    const certificates = new Certificates(temporaryFolder());
    await initAuthority({ folder: certificates.folder, name: "e2e", keyType: "p256", now: new Date() });
    await issueLeaf({
      folder: certificates.folder,
      kind: "relay",
      name: "relay",
      names: ["relay.example", RELAY.ipv4, RELAY.ipv6],
      keyType: "p256",
      now: new Date(),
    });
    return certificates;
  }

  /** A client certificate that is valid for a day from `now` on. */
  async issueClient(name: string, now = new Date()): Promise<void> {
    await issueLeaf({ folder: this.folder, kind: "client", name, names: [], keyType: "p256", now });
  }

  /** `--cert`, `--key` and `--ca` of the holder `name`. */
  flags(name: string): string[] {
    const file = (suffix: string): string => join(this.folder, `${name}${suffix}.pem`);
    return ["--cert", file(""), "--key", file("-key"), "--ca", join(this.folder, "ca.pem")];
  }
}

export interface RelayOptions {
  readonly certificates: Certificates;
  /** The policy's text. */
  readonly policy: string;
  readonly flags?: readonly string[];
  /** The beginning of a command line that runs what follows it: `strace -D …`. */
  readonly under?: readonly string[];
}

/** A relay that can be started again and again in its namespace, with the same policy file and state. */
export class RelayProcess {
  readonly policyFile: string;
  readonly #namespace: Namespace;
  readonly #argv: readonly string[];
  #service: Service | undefined;

  constructor(namespace: Namespace, { certificates, policy, flags = [], under = [] }: RelayOptions) {
    const folder = temporaryFolder();
    this.policyFile = join(folder, "policy.yaml");
    writeFileSync(this.policyFile, policy);
    this.#namespace = namespace;
    this.#argv = [
      ...[...under, ZGATE, "relay", "--listen", "[::]:4433", ...certificates.flags("relay")],
      ...["--policy", this.policyFile, "--admin", ADMIN, "--tun-name", DEVICE],
      ...["--state-dir", join(folder, "state"), "--drain", "0s", ...flags],
    ];
  }

  get service(): Service {
    if (this.#service === undefined) throw new Error("the relay has not been started");
    return this.#service;
  }

  /** Starts it and waits until it says that it is ready. */
  async start(): Promise<void> {
    const service = this.#namespace.spawn(this.#argv);
    this.#service = service;
    await waitFor(
      "the relay's /readyz",
      async () => {
        if (service.status !== undefined) throw service.failure("ended before it was ready");
        return (await this.get("/readyz")) !== undefined;
      },
      START_TIMEOUT_MS,
    ).catch((thrown: unknown) => {
      throw service.failure(`is not ready: ${String(thrown)}`);
    });
  }

  /** SIGTERM, and how it ended; undefined when it was not started. */
  async stop(): Promise<ExitStatus | undefined> {
    return this.#service?.stop();
  }

  /** The body of a GET on the admin address; undefined when it is not answered with success. */
  async get(path: string): Promise<string | undefined> {
    const { code, stdout } = await this.#namespace.run(["curl", "-sf", "-m", "5", `http://${ADMIN}${path}`]);
    return code === 0 ? stdout : undefined;
  }

  /** The samples of /metrics by name and labels, as they stand there. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = (await this.get("/metrics")) ?? "";
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]));
  }

  /** The audit records so far (JSON lines on standard output). */
  audit(): Record<string, unknown>[] {
    return jsonLines(this.service.stdout);
  }

  /** The log records so far (JSON lines on standard error). */
  log(): Record<string, unknown>[] {
    return jsonLines(this.service.stderr);
  }
}

export interface AgentOptions {
  readonly certificates: Certificates;
  /** Whose certificate it has. */
  readonly name: string;
  /** Where it finds the relay; over IPv4 unless this says otherwise. */
  readonly relay?: string;
  readonly flags?: readonly string[];
  /** As in `RelayOptions`. */
  readonly under?: readonly string[];
}

/** Starts an agent; `tunnelOpen` waits until its tunnel is up. */
export function startAgent(namespace: Namespace, options: AgentOptions): Service {
  const { certificates, name, relay = `${RELAY.ipv4}:4433`, flags = [], under = [] } = options;
  return namespace.spawn([
    ...under,
    ZGATE,
    "agent",
    "--relay",
    relay,
    ...certificates.flags(name),
    "--tun-name",
    DEVICE,
    ...flags,
  ]);
}

/** Starts an agent and waits until its tunnel is open. */
export async function openAgent(namespace: Namespace, options: AgentOptions): Promise<Service> {
  const agent = startAgent(namespace, options);
  await tunnelOpen(agent);
  return agent;
}

/** Waits until addresses and routes of an agent's session are there. */
export async function tunnelOpen(agent: Service, timeoutMs = START_TIMEOUT_MS): Promise<void> {
  await agent.waitForOutput(/"msg":"routes are set"/, timeoutMs);
}

/** The objects among the lines of a text; a last line that is not complete yet is left out. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
