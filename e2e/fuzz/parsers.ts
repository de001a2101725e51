/** Every parser of what a peer or a file says. */
import { FILE_PARSERS } from "./file-parsers.ts";
import { HTTP3_PARSERS } from "./http3-parsers.ts";
import { PACKET_PARSERS } from "./packet-parsers.ts";
import type { Parser } from "./parser.ts";
import { TUNNEL_PARSERS } from "./tunnel-parsers.ts";

export const PARSERS: readonly Parser[] = [...PACKET_PARSERS, ...TUNNEL_PARSERS, ...HTTP3_PARSERS, ...FILE_PARSERS];
