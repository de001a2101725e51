/** Too much of something: streams, resets, requests, connections, flows; and peers that do not read or do not write. */
import { createSocket } from "node:dgram";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import { ipv4, u16, udp } from "../../shared/packet/fixture.ts";
import { encodeAddressRequest } from "../../shared/tunnel/address-capsule.ts";
import { parsePrefix } from "../../shared/packet/address.ts";
import { TARGET_B } from "../harness/topology.ts";
import type { Attack } from "./attack.ts";
import { beginHalfHandshakes } from "./half-handshakes.ts";
import { sendBody } from "./hostile-session.ts";
import type { HostileSession } from "./hostile-session.ts";
import { NEIGHBOUR } from "./neighbour.ts";
import { writeAll } from "./raw-stream.ts";

/** Handshakes that stop half way. */
const HALF_HANDSHAKES = 10_000;
export const HALF_WAY = `${HALF_HANDSHAKES} handshakes that stop half way`;
/** Of them that the relay takes from one network at a time, once it has validated the address (`native/src/constants.rs`). */
export const NETWORK_HANDSHAKES = 64;
const SILENT_CONNECTIONS = 200;
const STREAMS = 20_000;
const SPRAYED_FLOWS = 100_000;
const ADDRESS_REQUESTS = 5_000;
/** The burst that the relay takes at once (CONTROL_MESSAGES_BURST in relay/constants.ts). */
const TOLERATED_REQUESTS = 20;
/** Frames in one piece that is sent. */
const FRAMES_A_PIECE = 1_000;
/** What is asked of the echo service and not read, in bytes: some seconds of it. */
const UNREAD_BYTES = 32 * 1024 * 1024;
const UNREAD_BYTES_AT_FULL_SPEED = 256 * 1024 * 1024;
/** Of the relay's device (TUN_QUEUES in relay/constants.ts). */
const DEVICE_QUEUES = 32;
/** Of it at a time. */
const UNREAD_FRAMES_A_PIECE = 20;
/** Between them: below the rate at which the session's queue of the device would overflow. Milliseconds. */
const UNREAD_PAUSE_MS = 1;

export const FLOOD_ATTACKS: readonly Attack[] = [
  {
    name: "a reset flood",
    run: async (peer) => {
      const connection = await peer.connect();
      await writeAll(await connection.openUni(), Uint8Array.of(0, 4, 0));
      for (let streams = 0; streams < STREAMS; streams++) {
        const stream = await connection.openBidi().catch(() => undefined);
        if (stream === undefined) return; // It is closed.
        stream.write(Uint8Array.of(1, 0x40), 0, 2);
        stream.reset(HTTP3_CODE.H3_REQUEST_CANCELLED);
        stream.stop(HTTP3_CODE.H3_REQUEST_CANCELLED);
      }
    },
    closes: HTTP3_CODE.H3_EXCESSIVE_LOAD,
  },
  {
    name: "a flood of requests that nobody serves",
    run: async (peer) => {
      const session = await peer.session();
      const ask = async (): Promise<void> => {
        for (let requests = 0; requests < STREAMS / 100; requests++)
          await session.http3.request(
            [
              [":method", "GET"],
              [":scheme", "https"],
              [":authority", "relay.example"],
              [":path", "/"],
            ],
            { end: true },
          );
      };
      await Promise.allSettled(Array.from({ length: 20 }, ask)); // Until the relay closes.
    },
    closes: HTTP3_CODE.H3_EXCESSIVE_LOAD,
  },
  {
    name: "an ADDRESS_REQUEST flood",
    run: async (peer) => {
      const session = await peer.session();
      const request = encodeAddressRequest([{ requestId: 1, prefix: parsePrefix("0.0.0.0/32") }]);
      await sendBody(session.control, Buffer.concat(Array<Uint8Array>(ADDRESS_REQUESTS).fill(request)));
    },
    closes: HTTP3_CODE.H3_EXCESSIVE_LOAD,
  },
  {
    name: "a control stream that is not read",
    run: async (peer) => {
      const session = await peer.session({ deaf: true });
      const request = encodeAddressRequest([{ requestId: 1, prefix: parsePrefix("0.0.0.0/32") }]);
      await sendBody(session.control, Buffer.concat(Array<Uint8Array>(TOLERATED_REQUESTS).fill(request)));
    },
  },
  {
    name: "a lane that is not read",
    run: async (peer) => echoUnread(await peer.session(), UNREAD_BYTES, UNREAD_PAUSE_MS),
    counts: { 'zgate_dropped_packets_total{reason="queue-full"}': 1 },
  },
  {
    name: "a lane that is not read, at full speed",
    run: async (peer) => echoUnread(await peer.session(), UNREAD_BYTES_AT_FULL_SPEED, 0),
  },
  {
    name: "a lane that is not read, at full speed, in the neighbour's queue of the device",
    run: async (peer) => {
      let session = await peer.session();
      for (let others = 1; !meetsNeighbour(session); others++) {
        if (others > DEVICE_QUEUES) throw new Error(`none of ${others} addresses is in the neighbour's queue`);
        session = await peer.session();
      }
      await echoUnread(session, UNREAD_BYTES_AT_FULL_SPEED, 0);
    },
  },
  {
    name: "frames byte by byte",
    run: async (peer) => {
      const session = await peer.session();
      const lane = await session.lane();
      const packet = session.frame(
        ipv4({ src: session.ipv4, dst: TARGET_B.ipv4, payload: udp(4_000, 7, new Uint8Array(8)) }),
      );
      for (let turn = 0; turn < 50; turn++) for (const byte of packet) await sendBody(lane, Uint8Array.of(byte));
    },
    echoes: "some",
  },
  {
    name: `a spray of ${SPRAYED_FLOWS} flows`,
    run: async (peer) => {
      const session = await peer.session();
      const lane = await session.lane();
      const packet = session.frame(ipv4({ src: session.ipv4, dst: TARGET_B.ipv4, payload: udp(1, 1) }));
      for (let flow = 0; flow < SPRAYED_FLOWS; flow += FRAMES_A_PIECE) {
        const piece = Buffer.concat(Array<Uint8Array>(FRAMES_A_PIECE).fill(packet));
        for (let at = 0; at < FRAMES_A_PIECE; at++) {
          // Behind the frame's length and the IPv4 header stand the ports.
          piece.set(
            [...u16(1_024 + ((flow + at) % 50_000)), ...u16(10_000 + Math.floor((flow + at) / 50_000))],
            at * packet.length + 22,
          );
        }
        await sendBody(lane, piece);
      }
      lane.finish(); // Which ends the session when the relay has read all before it.
    },
    closes: HTTP3_CODE.H3_NO_ERROR,
    counts: { 'zgate_dropped_packets_total{reason="flow-rate"}': SPRAYED_FLOWS / 2 },
  },
  {
    name: `${SILENT_CONNECTIONS} connections that never open a session`,
    run: async (peer) => {
      for (let opened = 0; opened < SILENT_CONNECTIONS; opened++) {
        const connection = await peer.connect();
        const control = await connection.openUni().catch(() => undefined); // Closed already: one too many.
        if (control !== undefined) await writeAll(control, Uint8Array.of(0, 4, 0));
      }
    },
    closes: HTTP3_CODE.H3_EXCESSIVE_LOAD,
    counts: { 'zgate_sessions_refused_total{reason="over-limit"}': SILENT_CONNECTIONS / 2 },
  },
  {
    name: HALF_WAY,
    run: (peer) => beginHalfHandshakes(peer.remote, peer.serverName, peer.tls, HALF_HANDSHAKES),
    counts: {
      'zgate_address_checks_total{reason="handshakes-in-progress"}': HALF_HANDSHAKES / 2,
      'zgate_handshakes_refused_total{reason="over-network-limit"}': NETWORK_HANDSHAKES,
    },
  },
  {
    name: "datagrams of noise on the QUIC port",
    run: async (peer) => {
      const socket = createSocket("udp4");
      const [address, port] = peer.remote.split(":");
      const noise = new Uint8Array(1_200);
      for (let sent = 0; sent < 50_000; sent++) {
        crypto.getRandomValues(noise.subarray(0, 64));
        await new Promise((resolve) => socket.send(noise, Number(port), address, resolve));
      }
      socket.close();
    },
  },
];

/** Whether answers to the session wait in the same queue as those to the neighbour (`native/src/tun/program.rs`). */
function meetsNeighbour({ ipv4: address }: HostileSession): boolean {
  const queueOf = (text: string): number => Number(text.slice(text.lastIndexOf(".") + 1)) % DEVICE_QUEUES;
  return queueOf(address) === queueOf(NEIGHBOUR);
}

/** Asks the echo service for `bytes` through a lane that nobody reads; `pauseMs` after each piece. */
async function echoUnread(session: HostileSession, bytes: number, pauseMs: number): Promise<void> {
  const lane = await session.ask("/lane/0");
  const packet = session.frame(
    ipv4({ src: session.ipv4, dst: TARGET_B.ipv4, payload: udp(4_000, 7, new Uint8Array(1_200)) }),
  );
  const piece = Buffer.concat(Array<Uint8Array>(UNREAD_FRAMES_A_PIECE).fill(packet));
  for (let sent = 0; sent < bytes; sent += piece.length) {
    await sendBody(lane, piece);
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
