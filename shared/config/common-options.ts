/** The options that relay and agent share: certificates, key exchange, logging. */
import type { KeyExchange } from "../native/quic.ts";
import { LOG_LEVELS } from "../logging.ts";
import { defaulted, optional, required } from "./option.ts";
import { choice, path } from "./values.ts";

const KEY_EXCHANGES = ["prefer-pq", "require-pq", "classical"] as const satisfies readonly KeyExchange[];

export const commonOptions = {
  cert: required(path, {
    value: "FILE",
    path: true,
    description: "own certificate, PEM, intermediates after it; followed for renewal",
  }),
  key: required(path, { value: "FILE", path: true, description: "private key of the certificate, PEM" }),
  ca: required(path, {
    value: "FILE",
    path: true,
    description: "CA certificates that the peer's chain must end at, PEM",
  }),
  crl: optional(path, { value: "FILE", path: true, description: "revocation lists for the peer's chain, PEM" }),
  keyExchange: defaulted(choice(KEY_EXCHANGES), "prefer-pq", {
    value: KEY_EXCHANGES.join("|"),
    description: "TLS key exchange: X25519MLKEM768 first, only, or not at all",
  }),
  logLevel: defaulted(choice(LOG_LEVELS), "info", {
    value: LOG_LEVELS.join("|"),
    description: "least level that is logged, to standard error",
  }),
};
