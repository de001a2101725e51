/** The TLS alerts that a handshake ends with: RFC 8446 section 6, and the IANA registry "TLS Alerts". */

/** Why a handshake was refused, as a counter's label says it. */
export const TLS_CAUSES = [
  "no-certificate",
  "unknown-ca",
  "expired",
  "revoked",
  "bad-certificate",
  "no-common-group",
  "no-common-parameters",
  "no-application-protocol",
  "other",
] as const;
export type TlsCause = (typeof TLS_CAUSES)[number];

export type TlsSide = "agent" | "relay";

export interface Alert {
  readonly name: string;
  readonly cause: TlsCause;
  /** `sender` found something wrong with `peer`. */
  readonly says: (sender: TlsSide, peer: TlsSide) => string;
}

export const HANDSHAKE_FAILURE = 40;
export const INSUFFICIENT_SECURITY = 71;

const brokenRules: Alert["says"] = (sender, peer) =>
  `the ${sender} was sent something that TLS 1.3 does not allow: is the ${peer} another program than zgate's, ` +
  "or does something on the path change packets?";

/** By number. */
export const ALERTS: ReadonlyMap<number, Alert> = new Map<number, Alert>([
  [10, { name: "unexpected_message", cause: "other", says: brokenRules }],
  [
    HANDSHAKE_FAILURE,
    {
      name: "handshake_failure",
      cause: "no-common-parameters",
      says: () =>
        "agent and relay have no key-exchange group, cipher suite or signature scheme in common: " +
        "compare their key_exchange and the key types of their certificates",
    },
  ],
  [
    42,
    {
      name: "bad_certificate",
      cause: "bad-certificate",
      says: (sender, peer) =>
        sender === "agent"
          ? "the relay's certificate cannot be used: it is damaged, or not for the name that the agent calls the " +
            "relay by; --server-name says another name, zgate pki show the names that it is for"
          : `the ${peer}'s certificate cannot be used: it is damaged; zgate pki show says how it looks`,
    },
  ],
  [
    43,
    {
      name: "unsupported_certificate",
      cause: "bad-certificate",
      says: (_, peer) =>
        `the ${peer}'s certificate is not for this use: it needs the extended key usage ` +
        `${peer === "agent" ? "clientAuth" : "serverAuth"}`,
    },
  ],
  [
    44,
    {
      name: "certificate_revoked",
      cause: "revoked",
      says: (_, peer) => `the ${peer}'s certificate was revoked: it needs a new one`,
    },
  ],
  [
    45,
    {
      name: "certificate_expired",
      cause: "expired",
      says: (_, peer) =>
        `the ${peer}'s certificate has expired or is not valid yet: renew it, or set the clocks of both machines`,
    },
  ],
  [
    46,
    {
      name: "certificate_unknown",
      cause: "bad-certificate",
      says: (_, peer) => `the ${peer}'s certificate cannot be used: zgate pki show says how it looks`,
    },
  ],
  [47, { name: "illegal_parameter", cause: "other", says: brokenRules }],
  [
    48,
    {
      name: "unknown_ca",
      cause: "unknown-ca",
      says: (sender, peer) =>
        `the ${peer}'s certificate is of a CA that the ${sender} does not trust, or of one whose revocation list is ` +
        `missing or out of date: look at --ca and --crl of the ${sender}, and at --cert of the ${peer}`,
    },
  ],
  [
    49,
    {
      name: "access_denied",
      cause: "other",
      says: (sender, peer) => `the ${sender} does not let the ${peer} in, although its certificate is good`,
    },
  ],
  [50, { name: "decode_error", cause: "other", says: brokenRules }],
  [
    51,
    {
      name: "decrypt_error",
      cause: "bad-certificate",
      says: (_, peer) =>
        `the ${peer} did not prove that it has the key of its certificate, or a signature in the chain is wrong: ` +
        `do --cert and --key of the ${peer} belong together, and is the chain the CA's?`,
    },
  ],
  [
    70,
    {
      name: "protocol_version",
      cause: "no-common-parameters",
      says: (sender, peer) => `the ${sender} wants another version of TLS than the ${peer} offers: QUIC needs TLS 1.3`,
    },
  ],
  [
    INSUFFICIENT_SECURITY,
    {
      name: "insufficient_security",
      cause: "no-common-parameters",
      says: (sender, peer) =>
        `the ${sender} wants stronger cryptography than the ${peer} offers: compare their key_exchange`,
    },
  ],
  [
    80,
    {
      name: "internal_error",
      cause: "other",
      says: (sender) => `the ${sender} failed by a fault of its own: its log may say more`,
    },
  ],
  [
    86,
    {
      name: "inappropriate_fallback",
      cause: "other",
      says: (sender, peer) =>
        `the ${peer} came with an older TLS than the ${sender} knows it could: something on the path may force it to`,
    },
  ],
  [90, { name: "user_canceled", cause: "other", says: (sender) => `the ${sender} gave the handshake up` }],
  [109, { name: "missing_extension", cause: "other", says: brokenRules }],
  [110, { name: "unsupported_extension", cause: "other", says: brokenRules }],
  [
    112,
    {
      name: "unrecognized_name",
      cause: "other",
      says: (sender, peer) =>
        `the ${sender} has no certificate for the name that the ${peer} asked for: look at --server-name of the agent`,
    },
  ],
  [
    113,
    {
      name: "bad_certificate_status_response",
      cause: "bad-certificate",
      says: (sender, peer) => `the ${peer} sent an OCSP answer that the ${sender} does not accept`,
    },
  ],
  [
    116,
    {
      name: "certificate_required",
      cause: "no-certificate",
      says: (sender, peer) =>
        `the ${sender} demands a certificate and the ${peer} showed none: give it --cert and --key`,
    },
  ],
  [
    120,
    {
      name: "no_application_protocol",
      cause: "no-application-protocol",
      says: (sender, peer) =>
        `the ${sender} does not speak what the ${peer} asked for (HTTP/3, ALPN h3): is there a zgate relay at this ` +
        "address and port?",
    },
  ],
]);
