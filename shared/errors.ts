/**
 * Every error that zgate raises on purpose. A code is stable: scripts and documentation may rely on it.
 * A dropped packet is not an error: it is a value and a counter (`relay/counters.ts`).
 */
export const ERROR_CODES = {
  // Configuration and command line
  ZG_CONFIG_INVALID: "an option has a value that it cannot have",
  ZG_CONFIG_UNKNOWN_KEY: "a configuration file has a key that does not exist",
  ZG_FILE_UNREADABLE: "a file cannot be read",
  ZG_FILE_EXISTS: "a file is there already and would be overwritten",
  // Policy
  ZG_POLICY_INVALID: "a policy file is wrong; it was refused whole",
  ZG_POLICY_TESTS_FAILED: "the tests inside a policy file fail; it was refused whole",
  ZG_POLICY_THREAD: "the thread that loads policies and answers for them failed; another one takes its place",
  // Certificates and TLS
  ZG_PKI_INVALID: "a certificate, key or request cannot be used",
  ZG_TLS_MATERIAL: "certificate, key, CA or CRL cannot be loaded",
  ZG_TLS_HANDSHAKE: "the TLS handshake failed",
  // Audit
  ZG_AUDIT: "the audit log cannot be opened, continued or written",
  // Native addon and operating system
  ZG_NATIVE_MISSING: "the native addon has not been built",
  ZG_NATIVE_FAILED: "the native addon failed; this is a defect",
  ZG_TUN: "the TUN device cannot be opened or configured",
  ZG_UDP: "the UDP socket cannot be bound",
  ZG_TCP: "a TCP port cannot be listened on",
  ZG_HOST_COMMAND: "a command that configures the operating system failed",
  ZG_PRIVILEGE: "the process lacks a privilege that it needs",
  // Protocol
  ZG_CONNECT_FAILED: "the connection could not be made",
  ZG_CONNECTION_CLOSED: "the connection is closed",
  ZG_HTTP3: "the peer broke HTTP/3",
  ZG_CAPSULE: "the peer sent a malformed capsule",
  ZG_NEGOTIATION: "the peer answered with something that was not asked for",
  ZG_SESSION_REFUSED: "the relay refused the session",
  ZG_POOL_EMPTY: "no tunnel address is left to lease",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error with a stable code, a sentence that says what, where and what to do, and its cause. */
export class ZgateError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ZgateError";
    this.code = code;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
