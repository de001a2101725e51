/** Short questions to a network, asked from inside a namespace. */
import { join } from "node:path";
import type { Namespace } from "./namespace.ts";
import type { ProbeResult } from "./probe.ts";
import type { HandshakeResult } from "./handshake.ts";
import type { Certificates } from "./product.ts";
import { RELAY } from "./topology.ts";

/** How long an answer may take that should come, in milliseconds; how long silence is watched that should last. */
const ANSWER_MS = 5_000;
const SILENCE_MS = 700;

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

/** `count` echo requests, `intervalMs` apart; the answers that came within a second. */
export async function ping(
  from: Namespace,
  host: string,
  count: number,
  intervalMs = 10,
  flags: readonly string[] = [],
): Promise<PingResult> {
  const { stdout, stderr } = await from.run(
    ["ping", "-n", "-q", "-c", `${count}`, "-i", `${intervalMs / 1000}`, "-W", "1", ...flags, host],
    { timeoutMs: count * intervalMs * 4 + 30_000 },
  );
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? [];
  if (sent === undefined || received === undefined) throw new Error(`ping ${host}: ${stdout}${stderr}`);
  return { sent: Number(sent), received: Number(received) };
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
