/** UDP from client to target: the packets a second that arrive at less than 1 % loss. */
import {
  BAR_ROUNDS,
  LONG_ROUNDS,
  UDP_LOSS_LIMIT,
  UDP_RATE_RANGE,
  UDP_SEARCH_STEPS,
  UDP_ATTEMPT_SECONDS,
} from "../constants.ts";
import { transferUdp } from "../iperf.ts";
import { searchRate } from "../rate-search.ts";
import type { Scenario } from "../scenario.ts";

/** IPv4 header and UDP header, in bytes (RFC 791, RFC 768). */
const HEADER_BYTES = 28;

/** `packetBytes` is the size of the inner IP packet, so that 1,400 fits every peer's tunnel in one piece. */
export function udpScenario(packetBytes: number, peers: readonly string[]): Scenario {
  return {
    name: `udp-${packetBytes}`,
    peers,
    path: undefined,
    rounds: packetBytes === 64 ? BAR_ROUNDS : LONG_ROUNDS,
    async measure({ site }) {
      const packetRate = await searchRate(UDP_RATE_RANGE, UDP_SEARCH_STEPS, UDP_LOSS_LIMIT, (rate) =>
        transferUdp(site, packetBytes - HEADER_BYTES, rate, UDP_ATTEMPT_SECONDS),
      );
      return { packetRate };
    },
  };
}
