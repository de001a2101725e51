/**
 * What attackers cost: handshakes a second, memory after many refused ones, and a neighbour's ping meanwhile.
 *
 *   node bench/hostility.ts [--handshakes 10000] [--refused 100000]      root; --refused 0: handshakes only
 *
 *   relay ◀─ agent-1: the neighbour, pings a target      ◀─ agent-2: `handshake-load.ts`
 *
 * Stages: neighbour idle → handshakes with X25519MLKEM768 and with X25519 in turns → refused ones (a certificate of another
 * CA), the neighbour's ping and the relay's memory before and after.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Certificates, openAgent, RelayProcess } from "../e2e/harness/product.ts";
import { layTopology, RELAY, TARGET_A } from "../e2e/harness/topology.ts";
import type { KeyExchange } from "../shared/native/quic.ts";
import type { HandshakeReport } from "./handshake-load.ts";
import { cpuSeconds } from "./cpu.ts";
import { quantile } from "./statistics.ts";

const POLICY = `
version: "1.0"
clients:
  client-1: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [10.50.0.0/16] }] }
`;
const IDLE_PINGS = 1_000;
const PING_INTERVAL_S = 0.005;
const KEY_EXCHANGES: readonly KeyExchange[] = ["prefer-pq", "classical"];
const ROUNDS = 10;
/** The attacker stands for another machine: it runs when nothing else wants the processor (SCHED_IDLE, sched(7)). */
const ELSEWHERE = ["chrt", "--idle", "0"];
/** One load may take this long, milliseconds: 100,000 at some hundreds a second. */
const LOAD_TIMEOUT_MS = 900_000;

const { values } = parseArgs({
  options: { handshakes: { type: "string", default: "10000" }, refused: { type: "string", default: "100000" } },
});
const certificates = await Certificates.create();
const strangers = await Certificates.create();
const network = layTopology("hostility");
try {
  await certificates.issueClient("client-1");
  await certificates.issueClient("stranger");
  await strangers.issueClient("stranger");
  const relay = new RelayProcess(network.relay, { certificates, policy: POLICY });
  await relay.start();
  await openAgent(network.agents[0], { certificates, name: "client-1" });

  const idle = await pingWhile(["-c", `${IDLE_PINGS}`]);
  console.log(`neighbour's ping, idle:          ${describePing(idle)}`);
  await compareKeyExchanges(relay.service.pid, Number(values.handshakes));
  if (Number(values.refused) > 0) await refuse(relay.service.pid, Number(values.refused));
} finally {
  network.close();
}

/** `count` handshakes with each key exchange, in rounds and in turns: what else the machine does meets both alike. */
async function compareKeyExchanges(relay: number, count: number): Promise<void> {
  const totals = new Map<string, { accepted: number; seconds: number; cpu: number }>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const keyExchange of round % 2 === 0 ? KEY_EXCHANGES : KEY_EXCHANGES.toReversed()) {
      const cpuBefore = cpuSeconds([{ pid: relay }]);
      const { group, accepted, seconds } = await shake(certificates, keyExchange, Math.ceil(count / ROUNDS));
      const total = totals.get(group) ?? { accepted: 0, seconds: 0, cpu: 0 };
      total.accepted += accepted;
      total.seconds += seconds;
      total.cpu += cpuSeconds([{ pid: relay }]) - cpuBefore;
      totals.set(group, total);
    }
  }
  for (const [group, { accepted, seconds, cpu }] of totals) {
    const each = ((cpu / accepted) * 1000).toFixed(2);
    console.log(
      `handshakes, ${group.padEnd(15)}:     ${rate(seconds, accepted)} a second, ${each} ms of the relay's CPU each`,
    );
  }
}

/** `count` handshakes with a certificate of another CA. */
async function refuse(relay: number, count: number): Promise<void> {
  const before = residentMegabytes(relay);
  const [attacked, report] = await pingDuring(() => shake(strangers, "prefer-pq", count, ELSEWHERE));
  console.log(`refused handshakes:              ${report.refused}, ${rate(report.seconds, report.refused)} a second`);
  console.log(`neighbour's ping meanwhile:      ${describePing(attacked)}`);
  console.log(`relay's memory before and after: ${before} MiB, ${residentMegabytes(relay)} MiB`);
}

/** Handshakes of `stranger`, whom the policy does not know, with a certificate of `own`. */
async function shake(
  own: Certificates,
  keyExchange: KeyExchange,
  count: number,
  priority: readonly string[] = [],
): Promise<HandshakeReport> {
  const argv = [
    ...priority,
    ...[process.execPath, join(import.meta.dirname, "handshake-load.ts"), `${RELAY.ipv4}:4433`, RELAY.ipv4],
    ...[join(own.folder, "stranger.pem"), join(own.folder, "stranger-key.pem"), join(certificates.folder, "ca.pem")],
    ...[keyExchange, `${count}`],
  ];
  return JSON.parse(await network.agents[1].check(argv, { timeoutMs: LOAD_TIMEOUT_MS })) as HandshakeReport;
}

interface Pings {
  readonly times: readonly number[];
  readonly lost: number;
}

async function pingWhile(flags: readonly string[]): Promise<Pings> {
  const argv = ["ping", "-n", "-i", `${PING_INTERVAL_S}`, ...flags, TARGET_A.ipv4];
  return pingsOf((await network.agents[0].run(argv, { timeoutMs: LOAD_TIMEOUT_MS })).stdout);
}

async function pingDuring<T>(work: () => Promise<T>): Promise<[Pings, T]> {
  const service = network.agents[0].spawn(["ping", "-n", "-i", `${PING_INTERVAL_S}`, TARGET_A.ipv4]);
  const result = await work();
  service.signal("SIGINT");
  await service.waitForExit();
  return [pingsOf(service.stdout), result];
}

function pingsOf(output: string): Pings {
  const answers = [...output.matchAll(/icmp_seq=(\d+) .*time=([\d.]+) ms/g)];
  const sequences = answers.map(([, sequence]) => Number(sequence));
  const times = answers.map(([, , ms]) => Number(ms));
  const first = sequences[0] ?? 0;
  return { times, lost: (sequences.at(-1) ?? 0) - first + 1 - sequences.length };
}

function describePing({ times, lost }: Pings): string {
  const at = (share: number): string => quantile(times, share).toFixed(2);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${lost} of ${times.length + lost} lost`;
}

function rate(seconds: number, count: number): string {
  return (count / seconds).toFixed(0);
}

/** VmRSS (proc_pid_status(5)). */
function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}
