/** Every attack of the suite, in the order in which they run. */
import type { Attack } from "./attack.ts";
import { FLOOD_ATTACKS } from "./flood-attacks.ts";
import { HTTP3_ATTACKS } from "./http3-attacks.ts";
import { PACKET_ATTACKS } from "./packet-attacks.ts";
import { TUNNEL_ATTACKS } from "./tunnel-attacks.ts";

export const ATTACKS: readonly Attack[] = [...HTTP3_ATTACKS, ...TUNNEL_ATTACKS, ...PACKET_ATTACKS, ...FLOOD_ATTACKS];
