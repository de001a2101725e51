/**
 * The chain that makes a change of the audit log visible: each line carries the SHA-256 of the one before,
 * over the exact bytes of the line without its line feed.
 */
import { hash } from "node:crypto";
import type { UnixMs } from "../shared/units.ts";
import type { AuditEncoder } from "./audit-encoder.ts";
import type { AuditType } from "./audit-record.ts";

/** `prev` of the first record. */
export const GENESIS = "0".repeat(64);

/** Where a chain stands: the number and hash of its last record. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

export const EMPTY_CHAIN: ChainHead = { seq: 0, hash: GENESIS };

/** SHA-256 of a line without its line feed, lower-case hexadecimal. */
export function lineHash(line: Uint8Array): string {
  return hash("sha256", line, "hex");
}

/** A line that continues a chain, and the head of the chain when it is taken. */
export interface Link {
  /** With its line feed. */
  readonly line: Buffer;
  readonly head: ChainHead;
}

/** Makes the next line of a chain. */
export function link(
  encoder: AuditEncoder,
  head: ChainHead,
  time: UnixMs,
  level: "info" | "warn",
  type: AuditType,
  body: object,
): Link {
  const seq = head.seq + 1;
  const line = encoder.encode(time, level, { seq, prev: head.hash, type, ...body });
  return { line, head: { seq, hash: lineHash(line.subarray(0, line.length - 1)) } };
}
