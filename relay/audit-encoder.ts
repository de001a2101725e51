/** One record as one JSON line, by pino: `level` and `time` first, then the fields in their order. */
import { type Logger, pino } from "pino";
import type { UnixMs } from "../shared/units.ts";
import { AUDIT_LIST_LENGTH, AUDIT_TEXT_LENGTH } from "./constants.ts";

export class AuditEncoder {
  #time = "";
  #line = "";
  readonly #pino: Logger;

  constructor() {
    this.#pino = pino(
      {
        base: null,
        timestamp: () => `,"time":"${this.#time}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      { write: (line) => void (this.#line = line) },
    );
  }

  /**
   * The line with its line feed, UTF-8. Long strings and lists are cut, so that no line is longer than
   * `AUDIT_LINE_BYTES`; control characters are escaped, so that no value can begin a line of its own.
   */
  encode(time: UnixMs, level: "info" | "warn", fields: object): Buffer {
    this.#time = isoTime(time);
    this.#pino[level](fits(fields) ? fields : bounded(fields));
    return Buffer.from(this.#line);
  }
}

/** RFC 3339 with milliseconds, UTC. */
export function isoTime(time: UnixMs): string {
  return new Date(time).toISOString();
}

/** No string and no list is over its limit: true of all but hostile records, and then nothing is copied. */
function fits(value: unknown): boolean {
  if (typeof value === "string") return value.length <= AUDIT_TEXT_LENGTH;
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.length <= AUDIT_LIST_LENGTH && value.every(fits);
  return Object.values(value).every(fits);
}

/** The same value with every string and list cut to its limit. */
function bounded(value: unknown): unknown {
  if (typeof value === "string") return cut(value);
  if (Array.isArray(value)) {
    if (value.length <= AUDIT_LIST_LENGTH) return value.map(bounded);
    const kept = value.slice(0, AUDIT_LIST_LENGTH - 1).map(bounded);
    return [...kept, `… and ${value.length - kept.length} more`];
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, bounded(field)]));
}

function cut(text: string): string {
  return text.length <= AUDIT_TEXT_LENGTH ? text : `${text.slice(0, AUDIT_TEXT_LENGTH - 1)}…`;
}
