/** A session that is open and then breaks capsules, lanes or frames (docs/protocol.md). */
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import { ipv4, u16, udp } from "../../shared/packet/fixture.ts";
import { GSO_TCPV4, GSO_UDP_L4, VNET_HEADER, VNET_NEEDS_CSUM, VnetHeader } from "../../shared/packet/vnet-header.ts";
import { encodeCapsule } from "../../shared/tunnel/capsule.ts";
import { CAPSULE_ADDRESS_REQUEST, MAX_CAPSULE_VALUE } from "../../shared/tunnel/constants.ts";
import { lanePath } from "../../shared/tunnel/request-path.ts";
import { Http3Connection } from "../../shared/http3/connection.ts";
import { TARGET_B } from "../harness/topology.ts";
import type { Attack } from "./attack.ts";
import { connectFields, sendBody } from "./hostile-session.ts";

const { H3_DATAGRAM_ERROR, H3_MESSAGE_ERROR, H3_NO_ERROR } = HTTP3_CODE;

/** A type of the reserved range (RFC 9297 section 5.4), which nobody knows: 0x29 * 5 + 0x17. */
const UNKNOWN_CAPSULE = 0xe4;

/** Bytes on the control stream of a session. */
function capsule(name: string, bytes: Uint8Array, closes?: number): Attack {
  return {
    name,
    run: async (peer) => {
      const session = await peer.session();
      await sendBody(session.control, bytes);
    },
    ...(closes === undefined ? {} : { closes }),
  };
}

/** Bytes on a lane of a session without offload. */
function lane(name: string, bytes: Uint8Array, reason: string, finish = false): Attack {
  return {
    name,
    run: async (peer) => {
      const session = await peer.session();
      const stream = await session.lane();
      await sendBody(stream, bytes);
      if (finish) stream.finish();
    },
    closes: H3_MESSAGE_ERROR,
    counts: { [`zgate_frame_errors_total{reason="${reason}"}`]: 1 },
  };
}

/** A UDP packet whose offload header says something else. */
function lie(name: string, fields: Partial<VnetHeader>): Attack {
  return {
    name: `an offload header with ${name}`,
    run: async (peer) => {
      const session = await peer.session({ offload: "gso" });
      const stream = await session.lane();
      const packet = ipv4({ src: session.ipv4, dst: TARGET_B.ipv4, payload: udp(4000, 7, new Uint8Array(64)) });
      const header = new Uint8Array(VNET_HEADER);
      Object.assign(new VnetHeader(), fields).write(header, 0);
      await sendBody(stream, session.frame(packet, header));
    },
    closes: H3_MESSAGE_ERROR,
    counts: { 'zgate_frame_errors_total{reason="bad-offload-header"}': 1 },
  };
}

export const TUNNEL_ATTACKS: readonly Attack[] = [
  capsule("an empty ADDRESS_REQUEST", encodeCapsule(CAPSULE_ADDRESS_REQUEST, new Uint8Array(0)), H3_DATAGRAM_ERROR),
  capsule("an ADDRESS_REQUEST of IP version 9", Uint8Array.of(2, 3, 1, 9, 0), H3_DATAGRAM_ERROR),
  capsule("an ADDRESS_REQUEST of 4 MB", Uint8Array.of(2, 0x80, 0x40, 0, 0), H3_DATAGRAM_ERROR),
  capsule(
    "an unknown capsule beyond the longest that is kept",
    encodeCapsule(UNKNOWN_CAPSULE, new Uint8Array(8 * MAX_CAPSULE_VALUE)),
  ),
  {
    name: "a capsule that is cut off",
    run: async (peer) => {
      const session = await peer.session();
      await sendBody(session.control, Uint8Array.of(2, 20, 1));
      session.control.finish();
    },
    closes: H3_DATAGRAM_ERROR,
  },
  {
    name: "a control stream that is reset",
    run: async (peer) => {
      const session = await peer.session();
      session.control.reset(HTTP3_CODE.H3_REQUEST_CANCELLED);
    },
    closes: H3_NO_ERROR,
  },
  {
    name: "a second session on one connection",
    run: async (peer) => {
      const session = await peer.session();
      await session.ask("/.well-known/masque/ip/*/*/", "connect-ip");
    },
    statuses: [429],
    counts: { 'zgate_sessions_refused_total{reason="over-limit"}': 1 },
  },
  {
    name: "lanes that are taken, out of range and no lanes at all",
    run: async (peer) => {
      const session = await peer.session({ lanes: 4 });
      for (const path of [lanePath(0), lanePath(0), lanePath(4), "/lane/-1", "/lane/1e1", "/lane/", "/"]) {
        await session.ask(path);
      }
    },
    statuses: [200, 409, 400, 400, 400, 400, 400],
    counts: {
      'zgate_sessions_refused_total{reason="lane-taken"}': 1,
      'zgate_sessions_refused_total{reason="malformed"}': 5,
    },
  },
  {
    name: "a lane without a session",
    run: async (peer) => {
      const http3 = new Http3Connection(await peer.connect(), "client");
      await http3.peerSettings;
      peer.statuses.push((await http3.request(connectFields("zgate-lane", lanePath(0)))).status);
    },
    statuses: [400],
  },
  lane("an empty frame", Uint8Array.of(0, 0), "empty"),
  lane("a frame beyond the MTU", Uint8Array.of(0xff, 0xff, 0x45), "too-long"),
  lane("a frame that is cut off", Uint8Array.of(...u16(100), 0x45, 0), "cut-off", true),
  lie("segments of no size", { gsoType: GSO_UDP_L4, gsoSize: 0, flags: VNET_NEEDS_CSUM, csumStart: 20, csumOffset: 6 }),
  lie("TCP segments in a UDP packet", {
    gsoType: GSO_TCPV4,
    gsoSize: 16,
    flags: VNET_NEEDS_CSUM,
    csumStart: 20,
    csumOffset: 16,
  }),
  lie("a checksum behind the packet", { flags: VNET_NEEDS_CSUM, csumStart: 60_000, csumOffset: 6 }),
  lie("a checksum in the IP header", { flags: VNET_NEEDS_CSUM, csumStart: 0, csumOffset: 12 }),
  lie("a checksum behind the headers of its segments", {
    ...{ gsoType: GSO_UDP_L4, gsoSize: 48, flags: VNET_NEEDS_CSUM, csumStart: 20, csumOffset: 30 },
  }),
  lie("an unknown kind", { gsoType: 77, gsoSize: 100 }),
  {
    name: "a frame too short for its offload header",
    run: async (peer) => {
      const session = await peer.session({ offload: "gso" });
      await sendBody(await session.lane(), Uint8Array.of(0, 4, 1, 2, 3, 4));
    },
    counts: { 'zgate_malformed_packets_total{fault="truncated"}': 1 },
  },
];
