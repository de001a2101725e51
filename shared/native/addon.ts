/**
 * The Rust addon behind the interfaces of `quic.ts` and `tun.ts`. The only way in: the other `addon-…`
 * files are its parts.
 */
import { AddonEndpoint } from "./addon-endpoint.ts";
import { AddonTun } from "./addon-tun.ts";
import type { EndpointOptions, QuicEndpoint } from "./quic.ts";
import type { Tun, TunOptions } from "./tun.ts";

/**
 * Binds a UDP socket and starts its QUIC thread. The process stays alive until `close`.
 * Throws `ZG_UDP` (the socket, a transport option), `ZG_TLS_MATERIAL`, `ZG_NATIVE_MISSING`.
 */
export function openQuicEndpoint(options: EndpointOptions): QuicEndpoint {
  return new AddonEndpoint(options);
}

/**
 * Creates a TUN device, sets its MTU and brings it up. It is gone when it is closed or the process ends.
 * Throws `ZG_TUN`, `ZG_PRIVILEGE`, `ZG_NATIVE_MISSING`.
 */
export function openTun(options: TunOptions): Tun {
  return new AddonTun(options);
}
