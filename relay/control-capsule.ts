/** What a client is told on its control stream of its addresses. */
import type { Prefix } from "../shared/packet/address.ts";
import { encodeAddressAssign } from "../shared/tunnel/address-capsule.ts";
import type { AddressEntry } from "../shared/tunnel/address-capsule.ts";
import type { Lease } from "./lease-pool.ts";

/**
 * An ADDRESS_ASSIGN with both addresses of the lease; each answers the first request of its family, where there is
 * one. Further requests are answered with the all-zero address: nothing was assigned for them (RFC 9484 section 4.7.2).
 */
export function assignmentOf(lease: Lease, requests: readonly AddressEntry[]): Uint8Array {
  const first = (version: 4 | 6): AddressEntry | undefined => requests.find(({ prefix }) => prefix.version === version);
  const [ipv4, ipv6] = [first(4), first(6)];
  const rest = requests.filter((request) => request !== ipv4 && request !== ipv6);
  return encodeAddressAssign([
    { requestId: ipv4?.requestId ?? 0, prefix: { version: 4, words: lease.ipv4, length: 32 } },
    { requestId: ipv6?.requestId ?? 0, prefix: { version: 6, words: lease.ipv6, length: 128 } },
    ...rest.map(({ requestId, prefix: { version } }) => ({ requestId, prefix: nothing(version) })),
  ]);
}

function nothing(version: 4 | 6): Prefix {
  return { version, words: [0, 0, 0, 0], length: version === 4 ? 32 : 128 };
}
