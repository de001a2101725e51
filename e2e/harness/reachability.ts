/** Short questions to a network, asked from inside a namespace. */
import { join } from "node:path";
import { ECHO_FILES, parseEchoes, unanswered } from "./echo-counters.ts";
import type { EchoCount } from "./echo-counters.ts";
import type { Namespace } from "./namespace.ts";
import type { ProbeResult } from "./probe.ts";
import type { HandshakeResult } from "./handshake.ts";
import type { Certificates } from "./product.ts";
import { RELAY } from "./topology.ts";

/** How long an answer may take that should come, in milliseconds; how long silence is watched that should last. */
const ANSWER_MS = 5_000;
const SILENCE_MS = 700;
/** How long the last answers to a ping may take, in milliseconds. */
const LATE_MS = 1_000;

interface ProbeOptions {
  readonly protocol: "udp" | "tcp";
  readonly host: string;
  readonly port: number;
  readonly bytes?: number;
  /** Silence is what is expected: do not wait long for it to end. */
  readonly expectSilence?: boolean;
}

/** One exchange with an echo service (`probe.ts`). */
export async function probe(from: Namespace, options: ProbeOptions): Promise<ProbeResult> {
  const { protocol, host, port, bytes = 32, expectSilence = false } = options;
  const timeout = expectSilence ? SILENCE_MS : ANSWER_MS;
  const script = join(import.meta.dirname, "probe.ts");
  const output = await from.check([process.execPath, script, protocol, host, `${port}`, `${bytes}`, `${timeout}`]);
  return JSON.parse(output) as ProbeResult;
}

export interface PingResult {
  readonly sent: number;
  readonly received: number;
}

/** `count` echo requests, `intervalMs` apart, alone in their namespace; the answers that came within a second. */
export async function ping(
  from: Namespace,
  host: string,
  count: number,
  intervalMs = 10,
  flags: readonly string[] = [],
): Promise<PingResult> {
  const echoes = async (): Promise<EchoCount> => parseEchoes(await from.check(["cat", ...ECHO_FILES]));
  const before = await echoes();
  const { stdout, stderr } = await from.run(
    ["ping", "-n", "-q", "-c", `${count}`, "-i", `${intervalMs / 1000}`, "-W", "1", ...flags, host],
    { timeoutMs: count * intervalMs * 4 + 30_000 },
  );
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
  if (sent === undefined || received === undefined) throw new Error(`ping ${host}: ${stdout}${stderr}`);
  let lost = Number(sent) - Number(received);
  // For the first one it does wait a second.
  const until = performance.now() + (received === "0" ? 0 : LATE_MS);
  while (lost > 0 && performance.now() < until) lost = unanswered(before, await echoes());
  return { sent: Number(sent), received: Number(sent) - lost };
}

/** A handshake with the relay by the holder of a certificate (`handshake.ts`), who trusts the CA of `trusted`. */
export async function shakeHands(
  from: Namespace,
  certificates: Certificates,
  name: string,
  trusted = certificates,
): Promise<HandshakeResult> {
  const script = join(import.meta.dirname, "handshake.ts");
  const [certificate, key] = [join(certificates.folder, `${name}.pem`), join(certificates.folder, `${name}-key.pem`)];
  const argv = [script, `${RELAY.ipv4}:4433`, RELAY.ipv4, certificate, key, join(trusted.folder, "ca.pem")];
  return JSON.parse(await from.check([process.execPath, ...argv])) as HandshakeResult;
}
