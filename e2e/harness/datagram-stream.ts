/**
 * Steady streams of numbered datagrams to two ports, to see to the millisecond which of them arrive.
 *
 *   datagram-stream.ts receive PORT PORT           prints "ready"; on SIGTERM the arrivals, as JSON
 *   datagram-stream.ts send HOST PORT PORT         a datagram a millisecond to each; on SIGTERM how many, as JSON
 *
 * Times are those of the monotonic clock that all processes of the machine share, in milliseconds.
 */
import { createSocket } from "node:dgram";
import { setImmediate as checked } from "node:timers/promises";

/** What `receive` prints for each port: numbers and times, in the order of arrival. */
export interface Arrivals {
  readonly sequence: readonly number[];
  readonly atMs: readonly number[];
}

/** The clock of `Arrivals`. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function receive(ports: readonly number[]): void {
  const arrivals = ports.map((port) => {
    const sequence: number[] = [];
    const atMs: number[] = [];
    const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
    socket.on("message", (datagram) => {
      sequence.push(datagram.readUInt32BE(0));
      atMs.push(monotonicMs());
    });
    const bound = new Promise<void>((resolve) => socket.bind(port, resolve));
    return { port, sequence, atMs, bound };
  });
  void Promise.all(arrivals.map(({ bound }) => bound)).then(() => console.log("ready"));
  const received = (): number => arrivals.reduce((sum, { sequence }) => sum + sequence.length, 0);
  process.on("SIGTERM", async () => {
    // A socket is read 32 datagrams at a time (libuv), and the signal may come before the last ones are.
    for (let before = -1; before < received(); await turn()) before = received();
    const result = Object.fromEntries(arrivals.map(({ port, sequence, atMs }) => [port, { sequence, atMs }]));
    process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
  });
}

function send(host: string, ports: readonly number[]): void {
  const socket = createSocket("udp4");
  const datagram = Buffer.alloc(32);
  let sent = 0;
  const timer = setInterval(() => {
    datagram.writeUInt32BE(sent, 0);
    for (const port of ports) socket.send(Buffer.from(datagram), port, host);
    sent++;
  }, 1);
  process.on("SIGTERM", () => {
    clearInterval(timer);
    process.stdout.write(`${JSON.stringify({ sent })}\n`, () => process.exit(0));
  });
  console.log("ready");
}

/** A whole turn of the event loop: the sockets are read between two of its check phases. */
async function turn(): Promise<void> {
  await checked();
  await checked();
}

if (import.meta.main) {
  const [mode, ...rest] = process.argv.slice(2);
  if (mode === "receive") receive(rest.map(Number));
  else send(rest[0] ?? "", rest.slice(1).map(Number));
}
