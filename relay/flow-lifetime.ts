/** How long a flow without packets lives: by its protocol, and by what was seen of the end of a TCP connection. */
import {
  PROTO_ICMP,
  PROTO_ICMPV6,
  PROTO_TCP,
  PROTO_UDP,
  PROTO_UDPLITE,
  TCP_FIN,
  TCP_RST,
} from "../shared/packet/constants.ts";
import {
  FLOW_IDLE_CLOSED_MS,
  FLOW_IDLE_HALF_CLOSED_MS,
  FLOW_IDLE_ICMP_MS,
  FLOW_IDLE_OTHER_MS,
  FLOW_IDLE_TCP_MS,
  FLOW_IDLE_UDP_MS,
} from "./constants.ts";

/** States of a TCP flow, as bits: FIN seen from the client, FIN seen to the client, RST seen. */
export const FIN_UP = 1;
export const FIN_DOWN = 2;
const RESET = 4;
const CLOSING = FIN_UP | FIN_DOWN | RESET;

/** The flags after which a flow may live shorter. */
export const TCP_ENDS = TCP_FIN | TCP_RST;

/** The state after a segment with these flags; `fin` is the bit of its direction. */
export function stateAfter(state: number, tcpFlags: number, fin: typeof FIN_UP | typeof FIN_DOWN): number {
  return state | ((tcpFlags & TCP_FIN) !== 0 ? fin : 0) | ((tcpFlags & TCP_RST) !== 0 ? RESET : 0);
}

/** The idle time that such a flow is granted, milliseconds. It never grows with its state. */
export function idleLimit(protocol: number, state: number): number {
  switch (protocol) {
    case PROTO_TCP:
      if ((state & RESET) !== 0 || (state & (FIN_UP | FIN_DOWN)) === (FIN_UP | FIN_DOWN)) return FLOW_IDLE_CLOSED_MS;
      return (state & CLOSING) === 0 ? FLOW_IDLE_TCP_MS : FLOW_IDLE_HALF_CLOSED_MS;
    case PROTO_UDP:
    case PROTO_UDPLITE:
      return FLOW_IDLE_UDP_MS;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
      return FLOW_IDLE_ICMP_MS;
    default:
      return FLOW_IDLE_OTHER_MS;
  }
}
