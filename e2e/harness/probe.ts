/**
 * Asks a service for one sign of life and prints what came of it as one line of JSON.
 *
 *   node probe.ts udp HOST PORT BYTES TIMEOUT_MS    a datagram of BYTES, which an echo has to return unchanged
 *   node probe.ts tcp HOST PORT BYTES TIMEOUT_MS    a connection, and BYTES through an echo
 *
 * `{"answer":"echo","ms":1.8}`, or `answer` is `refused` (an RST, an ICMP port unreachable), `unreachable`
 * (another ICMP error), `timeout`, `changed` (the echo is not what was sent).
 */
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";

export type Answer = "echo" | "refused" | "unreachable" | "timeout" | "changed";

export interface ProbeResult {
  readonly answer: Answer;
  /** From the first byte sent to the answer. */
  readonly ms: number;
}

const UNREACHABLE = new Set(["EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"]);

if (import.meta.main) {
  const [protocol, host = "", port = "", bytes = "", timeout = ""] = process.argv.slice(2);
  const sent = randomBytes(Number(bytes));
  const started = performance.now();
  const ask = protocol === "udp" ? askUdp : askTcp;
  const late = new Promise<Answer>((resolve) => {
    setTimeout(resolve, Number(timeout), "timeout" satisfies Answer).unref();
  });
  const answer = await Promise.race([ask(host, Number(port), sent), late]);
  console.log(JSON.stringify({ answer, ms: performance.now() - started } satisfies ProbeResult));
  process.exit(0);
}

function askUdp(host: string, port: number, sent: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    socket.on("message", (message) => resolve(message.equals(sent) ? "echo" : "changed"));
    // Only a connected socket is told of ICMP errors (udp(7)).
    socket.on("error", (error) => settle(error, resolve, reject));
    socket.connect(port, host, () => socket.send(sent));
  });
}

function askTcp(host: string, port: number, sent: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let received = 0;
    const socket = connect({ host, port }, () => socket.end(sent));
    socket.on("error", (error) => settle(error, resolve, reject));
    socket.on("data", (piece: Buffer) => {
      pieces.push(piece);
      received += piece.length;
      if (received >= sent.length) resolve(Buffer.concat(pieces).equals(sent) ? "echo" : "changed");
    });
  });
}

function settle(error: NodeJS.ErrnoException, resolve: (answer: Answer) => void, reject: (error: Error) => void): void {
  const code = error.code ?? "";
  if (code === "ECONNREFUSED" || code === "ECONNRESET") resolve("refused");
  else if (UNREACHABLE.has(code)) resolve("unreachable");
  else reject(error);
}
