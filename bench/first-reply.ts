/**
 * When a tunnel first carries a packet there and back, to about 5 ms: a program with two roles.
 *
 *   node bench/first-reply.ts echo               answers every datagram; prints `ready`
 *   node bench/first-reply.ts probe ADDRESS      prints `ready`, sends until an answer comes, prints its time
 *
 * The time is in milliseconds since 1970-01-01T00:00:00Z, for a caller on the same machine to subtract from.
 */
import { createSocket } from "node:dgram";

const PORT = 7;
/** Pause between two datagrams, in milliseconds. */
const INTERVAL_MS = 5;

const [role, address] = process.argv.slice(2);
const socket = createSocket("udp4");
// Until the tunnel is up there is no route: sends fail, and are tried again.
socket.on("error", () => {});

if (role === "echo") {
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  socket.bind(PORT, () => process.stdout.write("ready\n"));
} else {
  socket.once("message", () => {
    process.stdout.write(`${Date.now()}\n`);
    process.exit(0);
  });
  socket.bind(0, () => {
    process.stdout.write("ready\n");
    setInterval(() => socket.send("?", PORT, address, () => {}), INTERVAL_MS);
  });
}
