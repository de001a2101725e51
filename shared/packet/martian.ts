/**
 * Addresses that no packet in a tunnel may come from or go to, whatever the policy says: those that
 * RFC 6890 calls not forwardable, and multicast, which zgate does not route.
 */
import type { IpVersion } from "./address.ts";

/**
 * The address in the words `w0` to `w3` is a martian.
 *
 * IPv4: 0.0.0.0/8 this network, 127.0.0.0/8 loopback, 169.254.0.0/16 link-local (cloud metadata services
 * among it), 224.0.0.0/4 multicast, 240.0.0.0/4 reserved with the limited broadcast.
 * IPv6: ::/96 unspecified, loopback and IPv4-compatible, ::ffff:0:0/96 IPv4-mapped, fe80::/10 link-local,
 * ff00::/8 multicast.
 */
export function isMartian(version: IpVersion, w0: number, w1: number, w2: number, w3: number): boolean {
  if (version === 4) {
    const first = w3 >>> 24;
    return first === 0 || first === 127 || first >= 224 || w3 >>> 16 === 0xa9fe;
  }
  const first = w0 >>> 24;
  if (first === 0xff || w0 >>> 22 === 0xfe80 >>> 6) return true;
  return w0 === 0 && w1 === 0 && (w2 === 0 || w2 === 0xffff);
}
