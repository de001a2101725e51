import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { type UnixMs, unixMs } from "../shared/units.ts";
import { type ChainHead, EMPTY_CHAIN, link } from "./audit-chain.ts";
import { AuditEncoder, isoTime } from "./audit-encoder.ts";
import { DENIED, FLOW } from "./audit-fixture.ts";
import { splitLines } from "./audit-lines.ts";
import { type ChainReport, ChainVerifier } from "./audit-verify.ts";
import { AUDIT_LINE_BYTES } from "./constants.ts";

const TIME = unixMs(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
const encoder = new AuditEncoder();

/** Lines with their line feeds: `open` and then `flows` flows. */
function logOf(flows: number, sink: "file" | "stdout" = "file"): string[] {
  const lines: string[] = [];
  let head: ChainHead = EMPTY_CHAIN;
  const add = (time: UnixMs, type: "open" | "flow", body: object): void => {
    const next = link(encoder, head, time, "info", type, body);
    head = next.head;
    lines.push(next.line.toString());
  };
  add(TIME, "open", { version: "0.1.0", sink, before: "new" });
  for (let index = 0; index < flows; index++) {
    const flow = index % 2 === 0 ? FLOW : DENIED;
    const times = { start: isoTime(flow.start), end: isoTime(flow.end) };
    add(unixMs(TIME + index), "flow", { ...flow, ...times, srcPort: 1_000 + index });
  }
  return lines;
}

async function verify(log: string | Buffer, expected?: ChainHead): Promise<ChainReport> {
  const verifier = new ChainVerifier(expected);
  for await (const line of splitLines("a.jsonl", Readable.from([Buffer.from(log)]))) verifier.add(line);
  return verifier.report();
}

const findings = (report: ChainReport): string[] =>
  report.problems.map(({ kind, line, message }) => `${line}: ${kind}: ${message}`);

test("what was done to a log is said with its line", async () => {
  const lines = logOf(5);
  const [one = "", two = "", three = "", four = "", five = "", six = ""] = lines;
  const cases: readonly (readonly [name: string, log: string[], found: string[]])[] = [
    ["nothing", lines, []],
    ["an empty log", [], []],
    [
      "a changed field",
      [one, two, three.replace("deny", "allow"), four, five, six],
      ["4: changed: record 4 does not continue record 3 (line 3): one of them was changed"],
    ],
    [
      "a changed hash",
      [one, two, three.replace(/"prev":"./, '"prev":"f'), four, five, six],
      [
        "3: changed: record 3 does not continue record 2 (line 2): one of them was changed",
        "4: changed: record 4 does not continue record 3 (line 3): one of them was changed",
      ],
    ],
    ["a removed line", [one, two, four, five, six], ["3: missing: record 3 is missing before this line"]],
    ["removed lines", [one, two, six], ["3: missing: records 3 to 5 are missing before this line"]],
    [
      "swapped lines",
      [one, three, two, four, five, six],
      [
        "2: missing: record 2 is missing before this line",
        "3: order: record 2 comes after record 3: lines were repeated, moved, or begun anew",
        "4: missing: record 3 is missing before this line",
      ],
    ],
    [
      "a repeated line",
      [one, two, two, three, four, five, six],
      ["3: order: record 2 comes after record 2: lines were repeated, moved, or begun anew"],
    ],
    [
      "an inserted line",
      [one, "hello\n", two, three, four, five, six],
      [
        "2: not-a-record: this line is no audit record: not JSON",
        "3: order: record 2 comes after record 2: lines were repeated, moved, or begun anew",
      ],
    ],
    [
      "an empty line",
      [one, two, "\n", three],
      [
        "3: not-a-record: this line is no audit record: not JSON",
        "4: order: record 3 comes after record 3: lines were repeated, moved, or begun anew",
      ],
    ],
    [
      "a torn end",
      [one, two, three.slice(0, 100)],
      ["3: torn: the last line is not complete: the relay was killed while it wrote, or the end was cut off"],
    ],
    [
      "a forged beginning",
      [one.replace(/"prev":"./, '"prev":"f'), two],
      [
        "1: changed: the first record has to have 64 zeros as prev: it was changed",
        "2: changed: record 2 does not continue record 1 (line 1): one of them was changed",
      ],
    ],
    [
      "a file log that was begun anew",
      [...lines, one, two],
      ["7: order: record 1 comes after record 6: lines were repeated, moved, or begun anew"],
    ],
  ];
  for (const [name, log, found] of cases) {
    const report = await verify(log.join(""));
    assert.deepEqual(findings(report), found, name);
    assert.equal(report.ok, found.length === 0, name);
    assert.equal(report.problemCount, found.length, name);
  }
});

test("the end of a log, and a log that was computed anew, show against a head that was kept elsewhere", async () => {
  const lines = logOf(5);
  const whole = await verify(lines.join(""));
  assert.equal(whole.last.seq, 6);
  assert.ok((await verify(lines.join(""), whole.last)).ok);
  const cut = lines.slice(0, 4);
  assert.ok((await verify(cut.join(""))).ok);
  assert.deepEqual(findings(await verify(cut.join(""), whole.last)), [
    "4: head: record 6 was written and is missing; the last one here is record 4",
  ]);
  const forged = { seq: 3, hash: "f".repeat(64) };
  assert.match(
    findings(await verify(lines.join(""), forged))[0] ?? "",
    /^3: head: record 3 is not the one that was written/,
  );
});

test("a relay that writes to standard output begins a chain with each start", async () => {
  const run = logOf(2, "stdout");
  const report = await verify([...run, ...run].join(""));
  assert.ok(report.ok);
  assert.deepEqual(report.notes, [
    {
      file: "a.jsonl",
      line: 4,
      message:
        "a new chain begins, as with every start of a relay that writes to standard output; the old one ended with record 3",
    },
  ]);
});

test("a line that never ends is read in bounded memory", async () => {
  const [first = ""] = logOf(0);
  const report = await verify(
    Buffer.concat([Buffer.from(first), Buffer.alloc(3 * AUDIT_LINE_BYTES, "x"), Buffer.from("\n")]),
  );
  assert.deepEqual(findings(report), ["2: not-a-record: this line is no audit record: longer than any record"]);
});

test("lines are the same wherever the chunks are cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom("a", "\n", "ü"), maxLength: 40 }),
      fc.array(fc.nat(50)),
      async (text, cuts) => {
        const bytes = Buffer.from(text);
        const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort(
          (one, other) => one - other,
        );
        const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        const got: string[] = [];
        for await (const line of splitLines("x", Readable.from(chunks))) {
          got.push(line.bytes.toString() + (line.state === "whole" ? "\n" : ""));
          assert.equal(line.number, got.length);
        }
        assert.equal(got.join(""), text);
      },
    ),
  );
});

test("any change of any byte, and any line removed, moved or repeated, is found", async () => {
  const lines = logOf(12);
  const log = Buffer.from(lines.join(""));
  const head = (await verify(log)).last;
  const line = fc.nat(lines.length - 1);
  const change = fc.oneof(
    fc.record({ at: fc.nat(log.length - 1), to: fc.integer({ min: 1, max: 255 }) }),
    fc.record({ remove: line, count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ move: line, before: line }),
    fc.record({ repeat: line, before: line }),
    fc.record({ truncate: fc.integer({ min: 1, max: log.length }) }),
  );
  await fc.assert(
    fc.asyncProperty(change, async (how) => {
      let changed: Buffer;
      if ("at" in how) {
        changed = Buffer.from(log);
        changed[how.at] = (changed[how.at] ?? 0) ^ how.to;
      } else if ("truncate" in how) {
        changed = log.subarray(0, log.length - how.truncate);
      } else {
        const copy = [...lines];
        if ("remove" in how) copy.splice(how.remove, how.count);
        else if ("move" in how) copy.splice(how.before, 0, ...copy.splice(how.move, 1));
        else copy.splice(how.before, 0, lines[how.repeat] ?? "");
        changed = Buffer.from(copy.join(""));
      }
      const report = await verify(changed, head);
      // A log without its beginning may have been rotated: that is a note.
      assert.equal(report.ok && report.notes.length === 0, changed.equals(log));
    }),
    { numRuns: 2_000 },
  );
});

test("random bytes are a report, never an exception", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const report = await verify(Buffer.from(bytes));
      assert.equal(report.ok, bytes.length === 0);
    }),
  );
});
