/** Well-framed packets that must not pass: a counter, never an end of the session. */
import { ipv4, ipv6, udp } from "../../shared/packet/fixture.ts";
import { RELAY, TARGET_B } from "../harness/topology.ts";
import type { Attack } from "./attack.ts";
import { sendBody } from "./hostile-session.ts";
import { NEIGHBOUR } from "./neighbour.ts";

/** Of each packet: the loss of one in the tunnel must not hide what gets through. */
const REPEATS = 20;
/** The echo service, which runs at the target and in the relay's own namespace. */
const ECHO_PORT = 7;
/** The port of the relay's admin server. */
const ADMIN_PORT = 9_443;
/** The relay's addresses in the tunnel: the first of the default pools. */
const RELAY_TUNNEL = ["10.77.0.1", "fd77:7a67::1"];

interface Packets {
  readonly to: readonly string[];
  /** Instead of the session's own address of the family. */
  readonly from?: string;
  readonly port?: number;
  /** The reason under which all of them are counted. */
  readonly dropped?: string;
  readonly echoes: "some" | "none";
}

function packets(name: string, { to, from, port = ECHO_PORT, dropped, echoes }: Packets): Attack {
  return {
    name,
    run: async (peer) => {
      const session = await peer.session();
      const lane = await session.lane();
      for (let turn = 0; turn < REPEATS; turn++) {
        for (const dst of to) {
          const payload = udp(4_000 + turn, port, new Uint8Array(32));
          const packet = dst.includes(":")
            ? ipv6({ src: from ?? session.ipv6, dst, payload })
            : ipv4({ src: from ?? session.ipv4, dst, payload });
          await sendBody(lane, session.frame(packet));
        }
      }
    },
    ...(dropped === undefined
      ? {}
      : { counts: { [`zgate_dropped_packets_total{reason="${dropped}"}`]: REPEATS * to.length } }),
    echoes,
  };
}

export const PACKET_ATTACKS: readonly Attack[] = [
  packets("no attack: the echo service answers", { to: [TARGET_B.ipv4], echoes: "some" }),
  packets("the neighbour's address as source", {
    from: NEIGHBOUR,
    to: [TARGET_B.ipv4],
    dropped: "source-address",
    echoes: "none",
  }),
  packets("an address of the internet as source", {
    from: "203.0.113.9",
    to: [TARGET_B.ipv4],
    dropped: "source-address",
    echoes: "none",
  }),
  packets("the target's own address as source", {
    from: TARGET_B.ipv6,
    to: [TARGET_B.ipv6],
    dropped: "source-address",
    echoes: "none",
  }),
  packets("loopback", { to: ["127.0.0.1", "::1"], dropped: "destination-address", echoes: "none" }),
  packets("the admin port on loopback", {
    to: ["127.0.0.1"],
    port: ADMIN_PORT,
    dropped: "destination-address",
    echoes: "none",
  }),
  packets("multicast and broadcast", {
    to: ["224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "ff05::2"],
    dropped: "destination-address",
    echoes: "none",
  }),
  packets("link-local and cloud metadata", {
    to: ["169.254.169.254", "fe80::1"],
    dropped: "destination-address",
    echoes: "none",
  }),
  packets("this network and reserved addresses", {
    to: ["0.0.0.0", "0.1.2.3", "240.0.0.1", "::"],
    dropped: "destination-address",
    echoes: "none",
  }),
  packets("an IPv4 address in an IPv6 one", {
    to: ["::ffff:127.0.0.1", "::127.0.0.1"],
    dropped: "destination-address",
    echoes: "none",
  }),
  packets("the relay's tunnel addresses", { to: RELAY_TUNNEL, echoes: "none" }),
  packets("the relay's address in the internet", { to: [RELAY.ipv4, RELAY.ipv6], echoes: "none" }),
  packets("the relay's address in the private network", { to: ["10.50.1.1", "fd50:0:0:1::1"], echoes: "none" }),
  packets("the relay's admin port", { to: [...RELAY_TUNNEL, "10.50.1.1"], port: ADMIN_PORT, echoes: "none" }),
  packets("the neighbour through the tunnel", { to: [NEIGHBOUR, "fd77:7a67::2"], echoes: "none" }),
  {
    name: "packets that are none",
    run: async (peer) => {
      const session = await peer.session();
      const lane = await session.lane();
      for (const bytes of [
        [0x45],
        [0x95, 0, 0, 20],
        Array(20).fill(0x45) as number[],
        Array(40).fill(0x60) as number[],
      ]) {
        for (let turn = 0; turn < REPEATS; turn++) await sendBody(lane, session.frame(Uint8Array.from(bytes)));
      }
    },
  },
];
