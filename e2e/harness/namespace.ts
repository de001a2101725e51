/**
 * Network namespaces of one run, and the veth pairs between them.
 *
 *   Namespace.create("relay")  →  namespace `zg.<pid>.<start>.relay`, loopback up
 *   connect({ns, name: "wan", addresses: ["192.0.2.1/24"]}, {ns, …})  →  a veth pair, both ends up
 *
 * Names carry the process that made them (pid and start time), so parallel runs never meet. What a run
 * leaves when it is killed, the next run sweeps: namespaces whose maker no longer runs.
 */
import { readFileSync, readdirSync } from "node:fs";

import { onProcessEnd } from "./cleanup.ts";
import { check, checkSync, run } from "./command.ts";
import type { CommandResult, RunOptions } from "./command.ts";
import { Service } from "./process.ts";
import type { ServiceOptions } from "./process.ts";

/** Where iproute2 keeps the names of namespaces (ip-netns(8)). */
const NETNS_DIRECTORY = "/run/netns";
/** The MTU of Ethernet, in bytes (RFC 894). */
const ETHERNET_MTU_BYTES = 1500;
const NAME = /^zg\.(\d+)\.(\d+)\./;

export class Namespace {
  readonly name: string;
  readonly #forget: () => void;

  private constructor(name: string) {
    this.name = name;
    checkSync(["ip", "netns", "add", name]);
    this.#forget = onProcessEnd(() => destroy(name));
    this.ip("link", "set", "lo", "up");
  }

  /** A new namespace with nothing but its loopback; `label` is unique within this process. Needs root. */
  static create(label: string): Namespace {
    sweep();
    return new Namespace(`zg.${process.pid}.${startTicks(process.pid)}.${label}`);
  }

  /** `ip ARGS…` in this namespace; returns its standard output. */
  ip(...args: string[]): string {
    return checkSync(["ip", "-n", this.name, ...args]);
  }

  /** Sets kernel parameters of this namespace: `{"net.ipv4.ip_forward": "1"}`. */
  sysctl(values: Readonly<Record<string, string>>): void {
    checkSync(["sysctl", "-qw", ...Object.entries(values).map(([key, value]) => `${key}=${value}`)], {
      netns: this.name,
    });
  }

  /** Applies an nftables script in one transaction. */
  nft(script: string): void {
    checkSync(["nft", "-f", "-"], { netns: this.name, input: script });
  }

  /** Runs a command here to its end; an exit code is a result. */
  run(argv: readonly string[], options: Omit<RunOptions, "netns"> = {}): Promise<CommandResult> {
    return run(argv, { ...options, netns: this.name });
  }

  /** Runs a command here to its end; its standard output, or ZG_HOST_COMMAND. */
  check(argv: readonly string[], options: Omit<RunOptions, "netns"> = {}): Promise<string> {
    return check(argv, { ...options, netns: this.name });
  }

  /** Starts a service here. */
  spawn(argv: readonly string[], options: Omit<ServiceOptions, "netns"> = {}): Service {
    return new Service(argv, { ...options, netns: this.name });
  }

  /** Kills what still runs here and deletes the namespace with its devices. */
  delete(): void {
    this.#forget();
    destroy(this.name);
  }
}

export interface LinkEnd {
  readonly namespace: Namespace;
  /** Interface name, at most 15 bytes; unique in its namespace only. */
  readonly name: string;
  /** Addresses with prefix length, IPv4 or IPv6. */
  readonly addresses: readonly string[];
}

/** A veth pair between two namespaces, both ends up, with their addresses usable at once. */
export function connect(a: LinkEnd, b: LinkEnd, mtuBytes: number = ETHERNET_MTU_BYTES): void {
  checkSync([
    ...["ip", "link", "add", "name", a.name, "mtu", `${mtuBytes}`, "netns", a.namespace.name, "type", "veth"],
    ...["peer", "name", b.name, "mtu", `${mtuBytes}`, "netns", b.namespace.name],
  ]);
  for (const { namespace, name, addresses } of [a, b]) {
    for (const address of addresses) {
      // Without `nodad` an IPv6 address is tentative for about a second (RFC 4862 section 5.4).
      const tail = address.includes(":") ? ["nodad"] : [];
      namespace.ip("address", "add", address, "dev", name, ...tail);
    }
    namespace.ip("link", "set", name, "up");
  }
}

/** Deletes the namespaces of runs that no longer exist. */
function sweep(): void {
  for (const name of namespaceNames()) {
    const [, pid, start] = name.match(NAME) ?? [];
    if (pid === undefined || start === undefined || startTicks(Number(pid)) === start) continue;
    try {
      destroy(name);
    } catch {
      // Another run sweeps too, and was faster.
    }
  }
}

function namespaceNames(): string[] {
  try {
    return readdirSync(NETNS_DIRECTORY);
  } catch {
    return []; // The directory comes with the first namespace.
  }
}

function destroy(name: string): void {
  for (const pid of checkSync(["ip", "netns", "pids", name]).split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It ended between the listing and the signal.
    }
  }
  checkSync(["ip", "netns", "delete", name]);
}

/** When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); undefined when it is gone. */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
