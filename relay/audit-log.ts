/**
 * The audit log: who was connected, what they reached, what was refused, and under which policy.
 *
 *   sessionUp, flow, … ─▶ limiter ─▶ chain (seq, prev) ─▶ bounded queue ─▶ writer ─▶ file or stdout
 *                            └▶ counted: `suppressed`         └▶ full: lost, counted, one `gap` record later
 *
 * A method never waits and never throws. When the sink is slow, full or broken, records wait in memory up to
 * a bound, then they are lost and counted; `healthy` says so. A record gets its place in the chain when it
 * enters the queue, so the chain on disk has no hole: what is missing stands in a `gap` record.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ZgateError } from "../shared/errors.ts";
import { type UnixMs, unixMs } from "../shared/units.ts";
import { type ChainHead, EMPTY_CHAIN, link } from "./audit-chain.ts";
import { AuditEncoder, isoTime } from "./audit-encoder.ts";
import { type AuditFileStart, openAuditFile } from "./audit-file.ts";
import { RecordLimiter } from "./audit-limiter.ts";
import { LineQueue } from "../shared/line-queue.ts";
import type { AuditType, BodyOf } from "./audit-record.ts";
import { openStdout } from "./audit-stdout.ts";
import { AuditWriter } from "./audit-writer.ts";
import {
  AUDIT_BURST,
  AUDIT_FILES_KEPT,
  AUDIT_FILE_BYTES,
  AUDIT_FLUSH_MS,
  AUDIT_LIMITED_KINDS,
  AUDIT_QUEUE_BYTES,
  AUDIT_RATE,
  AUDIT_SUMMARY_MS,
} from "./constants.ts";

export interface AuditOptions {
  /** A file, or `-` for standard output. */
  readonly path: string;
  /** The version of zgate, for the `open` record. */
  readonly version: string;
  /** Without a working log no traffic: what `refusesTraffic` goes by. */
  readonly failClosed: boolean;
  /** Rotate before the file would grow over this, bytes. */
  readonly maxBytes?: number;
  /** Rotated files to keep. */
  readonly keep?: number;
  /** `healthy` changed; `reason` says why it is not. */
  readonly onHealth?: (healthy: boolean, reason: string | undefined) => void;
}

export type SessionUp = Omit<BodyOf<"session-up">, "notAfter"> & { readonly notAfter: UnixMs };
export type SessionRenewed = Omit<BodyOf<"session-renewed">, "notAfter"> & { readonly notAfter: UnixMs };
export type SessionDown = Span<BodyOf<"session-down">>;
export type FlowEnd = Span<BodyOf<"flow">>;
export type PolicyChange = BodyOf<"policy">;
export type Refusal = BodyOf<"refusal">;
export type CertificateIssue = Omit<BodyOf<"certificate">, "notAfter"> & { readonly notAfter: UnixMs };

/** The same with times as numbers. */
type Span<B extends { start: string; end: string }> = Omit<B, "start" | "end"> & {
  readonly start: UnixMs;
  readonly end: UnixMs;
};

export interface AuditStats {
  /** Records that were put into the chain. */
  readonly records: number;
  /** Records that were lost because the queue was full. */
  readonly lost: number;
  /** Times that records began to be lost. */
  readonly gaps: number;
  /** Records that were only counted because too many alike came. */
  readonly suppressed: number;
  /** What waits to be written, bytes. */
  readonly queuedBytes: number;
  /** The last record's number and hash: kept elsewhere, it shows later that the log's end was not cut off. */
  readonly head: ChainHead;
}

interface Gap {
  lost: number;
  readonly lostByType: Record<string, number>;
  readonly from: UnixMs;
  to: UnixMs;
  readonly reason: string;
}

export class AuditLog {
  readonly #options: AuditOptions;
  readonly #encoder = new AuditEncoder();
  readonly #queue: LineQueue;
  readonly #writer: AuditWriter;
  readonly #sync: () => Promise<void>;
  readonly #flows = newLimiter();
  readonly #refusals = newLimiter();
  #summary: NodeJS.Timeout | undefined;
  #head: ChainHead;
  #gap: Gap | undefined;
  #closed = false;
  #reportedHealthy = true;
  #records = 0;
  #lost = 0;
  #gaps = 0;
  #suppressed = 0;

  /** For `open`, and for tests that bring their own sink. */
  constructor(options: AuditOptions, start: AuditFileStart, queueBytes = AUDIT_QUEUE_BYTES) {
    this.#options = options;
    this.#head = start.head;
    this.#queue = new LineQueue(queueBytes);
    this.#writer = new AuditWriter(start.sink, this.#queue, {
      onProgress: () => this.#endGap(),
      onTrouble: () => this.#reportHealth(),
    });
    this.#sync = () => start.sink.sync();
    const sink = options.path === "-" ? "stdout" : "file";
    const level = start.before.before === "torn" || start.before.before === "unclean" ? "warn" : "info";
    this.#append(level, "open", { version: options.version, sink, ...start.before } satisfies BodyOf<"open">);
  }

  /** Opens the log where it ended. Rejects with `ZG_AUDIT` when it cannot be written, or is no audit log. */
  static async open(options: AuditOptions): Promise<AuditLog> {
    const { path, maxBytes = AUDIT_FILE_BYTES, keep = AUDIT_FILES_KEPT } = options;
    const start: AuditFileStart =
      path === "-"
        ? { sink: openStdout(), head: EMPTY_CHAIN, before: { before: "new" } }
        : await openAuditFile({ path, maxBytes, keep });
    return new AuditLog(options, start);
  }

  sessionUp(session: SessionUp): void {
    this.#append("info", "session-up", {
      ...session,
      notAfter: isoTime(session.notAfter),
    } satisfies BodyOf<"session-up">);
  }

  sessionRenewed(session: SessionRenewed): void {
    const body: BodyOf<"session-renewed"> = { ...session, notAfter: isoTime(session.notAfter) };
    this.#append("info", "session-renewed", body);
  }

  sessionDown(session: SessionDown): void {
    this.#append("info", "session-down", withTimes(session) satisfies BodyOf<"session-down">);
  }

  /** Denied flows are limited for each client. */
  flow(flow: FlowEnd): void {
    if (flow.action === "allow") this.#append("info", "flow", withTimes(flow) satisfies BodyOf<"flow">);
    else if (this.#admit(this.#flows, flow.client))
      this.#append("warn", "flow", withTimes(flow) satisfies BodyOf<"flow">);
  }

  policy(change: PolicyChange): void {
    this.#append(change.outcome === "applied" ? "info" : "warn", "policy", change);
  }

  /**
   * Refusals are limited for each kind: their remote addresses may be made up. False when this one is only counted; the
   * log should be silent about it too, as who reads it may be slow.
   */
  refusal(refusal: Refusal): boolean {
    const admitted = this.#admit(this.#refusals, refusal.what);
    if (admitted) this.#append("warn", "refusal", refusal);
    return admitted;
  }

  certificate(issued: CertificateIssue): void {
    const body: BodyOf<"certificate"> = { ...issued, notAfter: isoTime(issued.notAfter) };
    this.#append("info", "certificate", body);
  }

  /** Every record so far is written or waits in the queue, and the sink takes them. */
  get healthy(): boolean {
    return this.unhealthyReason === undefined;
  }

  /** Why the log is not healthy. */
  get unhealthyReason(): string | undefined {
    return this.#writer.trouble ?? this.#gap?.reason;
  }

  /** The log is not healthy, and the relay is set to pass nothing then. */
  get refusesTraffic(): boolean {
    return this.#options.failClosed && !this.healthy;
  }

  stats(): AuditStats {
    return {
      records: this.#records,
      lost: this.#lost,
      gaps: this.#gaps,
      suppressed: this.#suppressed,
      queuedBytes: this.#queue.bytes,
      head: this.#head,
    };
  }

  /** Resolves when the queue is empty and on the disk. Rejects with `ZG_AUDIT` when the sink does not take it. */
  async flush(): Promise<void> {
    const inTime = await settlesWithin(AUDIT_FLUSH_MS, this.#writer.run());
    if (this.#queue.bytes > 0) {
      const why = this.#writer.trouble ?? (inTime ? "the log is closed" : `no progress within ${AUDIT_FLUSH_MS} ms`);
      throw new ZgateError("ZG_AUDIT", `${this.#queue.lines} audit records are not written: ${why}`);
    }
    await this.#sync();
  }

  /** Ends the log with a `close` record. Rejects as `flush` does; the log is closed then, too. */
  async close(): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#summary);
    this.#writeSuppressed();
    this.#append("info", "close", {});
    this.#closed = true;
    try {
      await this.flush();
    } finally {
      await settlesWithin(AUDIT_FLUSH_MS, this.#writer.close());
    }
  }

  #append(level: "info" | "warn", type: AuditType, body: object): void {
    if (this.#closed) return;
    this.#endGap();
    if (this.#gap !== undefined || !this.#push(level, type, body)) this.#lose(type);
  }

  #push(level: "info" | "warn", type: AuditType, body: object): boolean {
    const { line, head } = link(this.#encoder, this.#head, now(), level, type, body);
    if (!this.#queue.push(line)) return false;
    this.#head = head;
    this.#records++;
    this.#writer.wake(head.seq);
    return true;
  }

  #lose(type: AuditType): void {
    this.#lost++;
    if (this.#gap === undefined) {
      this.#gaps++;
      const reason = this.#writer.trouble ?? "the sink is slower than the records come";
      this.#gap = { lost: 0, lostByType: {}, from: now(), to: now(), reason };
      this.#reportHealth();
    }
    this.#gap.lost++;
    this.#gap.lostByType[type] = (this.#gap.lostByType[type] ?? 0) + 1;
    this.#gap.to = now();
  }

  /** Says what was lost, as soon as the queue has room again; later records come after it. */
  #endGap(): void {
    if (this.#gap === undefined || !this.#queue.roomy) return;
    const { from, to, ...rest } = this.#gap;
    const body: BodyOf<"gap"> = { ...rest, from: isoTime(from), to: isoTime(to) };
    if (!this.#push("warn", "gap", body)) return;
    this.#gap = undefined;
    this.#reportHealth();
  }

  #admit(limiter: RecordLimiter, key: string): boolean {
    const admitted = limiter.admit(key, now());
    if (!admitted) this.#suppressed++;
    if (this.#summary === undefined && !this.#closed) {
      this.#summary = setTimeout(() => {
        this.#summary = undefined;
        this.#writeSuppressed();
      }, AUDIT_SUMMARY_MS);
      this.#summary.unref();
    }
    return admitted;
  }

  #writeSuppressed(): void {
    for (const [of, limiter] of [
      ["flow", this.#flows],
      ["refusal", this.#refusals],
    ] as const) {
      for (const { key, count, from, to } of limiter.take(now())) {
        const body: BodyOf<"suppressed"> = {
          of,
          ...(key === undefined ? {} : { key }),
          count,
          from: isoTime(from),
          to: isoTime(to),
        };
        this.#append("warn", "suppressed", body);
      }
    }
  }

  #reportHealth(): void {
    const { healthy } = this;
    if (healthy === this.#reportedHealthy) return;
    this.#reportedHealthy = healthy;
    this.#options.onHealth?.(healthy, this.unhealthyReason);
  }
}

/** True when the promise settled in time; a rejection in time is passed on. */
async function settlesWithin(milliseconds: number, promise: Promise<void>): Promise<boolean> {
  const timeout = new AbortController();
  const late = delay(milliseconds, false, { signal: timeout.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timeout.abort();
  }
}

function newLimiter(): RecordLimiter {
  return new RecordLimiter({
    burst: AUDIT_BURST,
    rate: AUDIT_RATE,
    maxKeys: AUDIT_LIMITED_KINDS,
  });
}

function withTimes<B extends { readonly start: UnixMs; readonly end: UnixMs }>(body: B) {
  return { ...body, start: isoTime(body.start), end: isoTime(body.end) };
}

function now(): UnixMs {
  return unixMs(Date.now());
}
