/**
 * Least privilege: before anything is opened, the process gives up what its configuration does not need.
 *
 *   needs ▸ capabilities to keep ▸ has more, or may gain more? drop them ▸ execute the process anew
 *                                └▶ has no more: go on
 *
 * Capabilities belong to threads and Node has several from its start on, so dropping them in one is not enough:
 * `execve` leaves one thread, from which all others inherit. The commands that are run (`ip`, `nft`) inherit
 * the same few, so the way out and a reload of certificates work to the end.
 */
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { ZgateError } from "../errors.ts";
import { CAPABILITY, dropPrivileges } from "../native/privileges.ts";

export interface Needs {
  /** Files and folders that are read. */
  readonly reads: readonly (string | undefined)[];
  /** Files and folders that are written or made. */
  readonly writes: readonly (string | undefined)[];
  /** Ports that are listened on. */
  readonly ports: readonly number[];
}

/** Who a process is to the file system. */
export interface Identity {
  readonly uid: number;
  readonly groups: readonly number[];
}

/** Below it a port needs CAP_NET_BIND_SERVICE (ip(7), ip_unprivileged_port_start). */
const FIRST_UNPRIVILEGED_PORT = 1024;
const READ = 4;
const WRITE = 2;
const SEARCH = 1;

/**
 * Keeps CAP_NET_ADMIN and what `needs` cannot do without; does not return when the process has to be executed
 * anew for that. `prepare` does what only the present privileges allow; the variables that it returns are added to the
 * environment then. Returns sentences about what is kept that need not be. Throws `ZG_PRIVILEGE`.
 */
export function confine(needs: Needs, prepare: () => Record<string, string> = () => ({})): string[] {
  const { kept, warnings } = capabilitiesFor(needs, {
    uid: process.geteuid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
  });
  const { permitted, mayGain } = currentPrivileges(readFileSync("/proc/self/status", "utf8"));
  if (!mayGain && (permitted & ~BigInt(kept)) === 0n) return warnings;
  const prepared = prepare();
  dropPrivileges(kept);
  const { execPath, execArgv, argv, env, execve } = process;
  if (execve === undefined) throw new ZgateError("ZG_PRIVILEGE", "this Node.js cannot execute itself anew");
  return execve(execPath, [execPath, ...execArgv, ...argv.slice(1)], { ...env, ...prepared });
}

/** The mask of capabilities to keep, bit n for capability n. */
export function capabilitiesFor({ reads, writes, ports }: Needs, who: Identity): { kept: number; warnings: string[] } {
  let kept = 1 << CAPABILITY.NET_ADMIN;
  const warnings: string[] = [];
  if (ports.some((port) => port > 0 && port < FIRST_UNPRIVILEGED_PORT)) kept |= 1 << CAPABILITY.NET_BIND_SERVICE;
  const closed = [
    ...reads.filter((path) => path !== undefined && !isOpenTo(who, path, READ)),
    ...writes.filter((path) => path !== undefined && !isOpenTo(who, path, READ | WRITE)),
  ];
  if (closed.length > 0 && who.uid === 0) {
    kept |= 1 << CAPABILITY.DAC_OVERRIDE;
    warnings.push(
      `root cannot use ${closed.join(", ")} by its permissions: CAP_DAC_OVERRIDE is kept; ` +
        `give the file and its folders to root to run without it`,
    );
  }
  return { kept, warnings };
}

/** What /proc/PID/status says of capabilities (proc_pid_status(5)). */
export function currentPrivileges(status: string): { permitted: bigint; mayGain: boolean } {
  const permitted = /^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  const noNewPrivileges = /^NoNewPrivs:\s*(\d)$/m.exec(status)?.[1];
  if (permitted === undefined) throw new ZgateError("ZG_PRIVILEGE", "/proc/self/status names no capabilities");
  return { permitted: BigInt(`0x${permitted}`), mayGain: noNewPrivileges !== "1" };
}

/** Whether permissions alone let `who` use a path; one that is not there is made in its nearest folder. */
function isOpenTo(who: Identity, path: string, bits: number): boolean {
  let at = resolve(path);
  let wanted = bits;
  for (;;) {
    const stat = statSync(at, { throwIfNoEntry: false });
    if (stat === undefined) {
      wanted = WRITE | SEARCH;
    } else {
      const shift = stat.uid === who.uid ? 6 : who.groups.includes(stat.gid) ? 3 : 0;
      const needed = stat.isDirectory() ? wanted | SEARCH : wanted;
      if (((stat.mode >> shift) & needed) !== needed) return false;
      wanted = SEARCH;
    }
    const parent = dirname(at);
    if (parent === at) return true;
    at = parent;
  }
}
