/**
 * Checks a chain of audit lines (pure): each line has to be a record, carry the next number, and the hash of
 * the line before. After a problem the check goes on from the line where it was found, so that one change is
 * one or two problems and not thousands.
 *
 * What a chain cannot show by itself: records cut off at its end, and a chain that was computed anew from
 * some record on. For both, compare with a head (`seq:hash`) that was kept elsewhere.
 */
import { type ChainHead, GENESIS, lineHash } from "./audit-chain.ts";
import type { FileLine } from "./audit-lines.ts";
import { type AuditRecord, parseAuditLine } from "./audit-record.ts";

export type ProblemKind =
  /** No audit record. */
  | "not-a-record"
  /** The line before, or this one, is not what was written. */
  | "changed"
  /** Records between the line before and this one are missing. */
  | "missing"
  /** A record comes again, or after a later one. */
  | "order"
  /** The file ends in the middle of a line. */
  | "torn"
  /** The record that was named as head is another one, or is missing. */
  | "head";

export interface Finding {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export interface ChainProblem extends Finding {
  readonly kind: ProblemKind;
}

export interface ChainReport {
  /** The chain is whole, as far as the given files go. */
  readonly ok: boolean;
  readonly records: number;
  /** Numbers of the first and the last record; 0 when there is none. */
  readonly first: number;
  readonly last: ChainHead;
  /** The first `MAX_FINDINGS` of them. */
  readonly problems: readonly ChainProblem[];
  readonly problemCount: number;
  /** What is no change of the log but good to know: where it begins, crashes, records that it says it lost. */
  readonly notes: readonly Finding[];
  /** Records that the log says it lost. */
  readonly lost: number;
  /** Records that the log says it only counted. */
  readonly suppressed: number;
}

/** More findings than these are only counted. */
const MAX_FINDINGS = 1_000;

interface Place extends ChainHead {
  readonly file: string;
  readonly line: number;
}

export class ChainVerifier {
  readonly #expected: ChainHead | undefined;
  #seenExpected = false;
  #before: Place | undefined;
  #first = 0;
  #records = 0;
  #lost = 0;
  #suppressed = 0;
  #problemCount = 0;
  readonly #problems: ChainProblem[] = [];
  readonly #notes: Finding[] = [];

  /** `expected`: a record that has to be there, as `AuditStats.head` gave it. */
  constructor(expected?: ChainHead) {
    this.#expected = expected;
  }

  /** The next line, in the order in which the lines were written. */
  add(line: FileLine): void {
    if (line.state === "torn") {
      this.#problem(
        "torn",
        line,
        "the last line is not complete: the relay was killed while it wrote, or the end was cut off",
      );
      return;
    }
    const parsed = parseAuditLine(line.bytes.toString());
    const hash = lineHash(line.bytes);
    if (line.state === "too-long" || !parsed.ok) {
      const why = parsed.ok || line.state === "too-long" ? "longer than any record" : parsed.problem;
      this.#problem("not-a-record", line, `this line is no audit record: ${why}`);
      this.#before = { file: line.file, line: line.number, seq: (this.#before?.seq ?? 0) + 1, hash };
      return;
    }
    const { record } = parsed;
    this.#compare(line, record);
    this.#checkExpected(line, { seq: record.seq, hash });
    this.#account(line, record);
    this.#before = { file: line.file, line: line.number, seq: record.seq, hash };
  }

  /** What was found in all lines so far. */
  report(): ChainReport {
    const problems = [...this.#problems];
    let count = this.#problemCount;
    const before = this.#before;
    const expected = this.#expected;
    if (expected !== undefined && !this.#seenExpected) {
      count++;
      problems.push({
        kind: "head",
        file: before?.file ?? "",
        line: before?.line ?? 0,
        message: `record ${expected.seq} was written and is missing; the last one here is record ${before?.seq ?? 0}`,
      });
    }
    return {
      ok: count === 0,
      records: this.#records,
      first: this.#first,
      last: { seq: before?.seq ?? 0, hash: before?.hash ?? GENESIS },
      problems,
      problemCount: count,
      notes: this.#notes,
      lost: this.#lost,
      suppressed: this.#suppressed,
    };
  }

  /** Does this record continue the one before? */
  #compare(line: FileLine, record: AuditRecord): void {
    const before = this.#before;
    if (before === undefined) {
      this.#compareFirst(line, record);
      return;
    }
    const { seq, prev } = record;
    const startsAnew = seq === 1 && prev === GENESIS && record.type === "open";
    if (startsAnew && record.sink === "stdout") {
      this.#note(
        line,
        `a new chain begins, as with every start of a relay that writes to standard output; the old one ended with record ${before.seq}`,
      );
    } else if (seq > before.seq + 1) {
      const missing =
        seq === before.seq + 2 ? `record ${before.seq + 1} is` : `records ${before.seq + 1} to ${seq - 1} are`;
      this.#problem("missing", line, `${missing} missing before this line`);
    } else if (seq <= before.seq) {
      this.#problem(
        "order",
        line,
        `record ${seq} comes after record ${before.seq}: lines were repeated, moved, or begun anew`,
      );
    } else if (prev !== before.hash) {
      const where = before.file === line.file ? `line ${before.line}` : `${before.file}:${before.line}`;
      this.#problem(
        "changed",
        line,
        `record ${seq} does not continue record ${before.seq} (${where}): one of them was changed`,
      );
    }
  }

  #compareFirst(line: FileLine, record: AuditRecord): void {
    this.#first = record.seq;
    if (record.seq > 1)
      this.#note(line, `begins with record ${record.seq}; the ones before are not in the given files`);
    else if (record.prev !== GENESIS)
      this.#problem("changed", line, "the first record has to have 64 zeros as prev: it was changed");
  }

  #checkExpected(line: FileLine, head: ChainHead): void {
    if (this.#expected === undefined || head.seq !== this.#expected.seq) return;
    this.#seenExpected = true;
    if (head.hash !== this.#expected.hash) {
      this.#problem("head", line, `record ${head.seq} is not the one that was written: its hash is ${head.hash}`);
    }
  }

  #account(line: FileLine, record: AuditRecord): void {
    this.#records++;
    if (record.type === "gap") {
      this.#lost += record.lost;
      this.#note(line, `the log lost ${record.lost} records from ${record.from} to ${record.to}: ${record.reason}`);
    } else if (record.type === "suppressed") {
      this.#suppressed += record.count;
    } else if (record.type === "open" && record.before === "unclean") {
      this.#note(line, "the relay was started again after it ended without closing the log");
    } else if (record.type === "open" && record.before === "torn") {
      this.#note(
        line,
        `the relay was started again after a crash that tore a line; ${record.tornBytes ?? 0} bytes were cut off`,
      );
    }
  }

  #problem(kind: ProblemKind, line: FileLine, message: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_FINDINGS)
      this.#problems.push({ kind, file: line.file, line: line.number, message });
  }

  #note(line: FileLine, message: string): void {
    if (this.#notes.length < MAX_FINDINGS) this.#notes.push({ file: line.file, line: line.number, message });
  }
}
