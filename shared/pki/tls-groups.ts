/**
 * Key exchange of our TLS over TCP, in the words of OpenSSL 3.5 (SSL_CTX_set1_groups_list(3)): `/` puts what stands
 * before it first, also where the client would rather have another group; `:` leaves the choice to the client.
 */
import type { KeyExchange } from "../native/quic.ts";

export const TLS_GROUPS: Readonly<Record<KeyExchange, string>> = {
  "prefer-pq": "X25519MLKEM768/X25519:P-256",
  "require-pq": "X25519MLKEM768",
  classical: "X25519:P-256",
};
