import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { unixMs } from "../shared/units.ts";
import { EMPTY_CHAIN, GENESIS, lineHash, link } from "./audit-chain.ts";
import { AuditEncoder } from "./audit-encoder.ts";
import { parseAuditLine } from "./audit-record.ts";
import { AUDIT_LINE_BYTES } from "./constants.ts";

const encoder = new AuditEncoder();
const TIME = unixMs(Date.UTC(2026, 0, 2, 3, 4, 5, 6));

test("a line is the envelope, then the fields, and the head is the hash of its bytes", () => {
  const { line, head } = link(encoder, EMPTY_CHAIN, TIME, "info", "close", {});
  const text = `{"level":"info","time":"2026-01-02T03:04:05.006Z","seq":1,"prev":"${GENESIS}","type":"close"}`;
  assert.equal(line.toString(), `${text}\n`);
  assert.deepEqual(head, { seq: 1, hash: lineHash(Buffer.from(text)) });
  // printf %s "$text" | sha256sum
  assert.equal(head.hash, "55a2b36c1ac3012379801041a0aab5b7a1de040575fefdcaeca7f2429a0faf31");
});

test("whatever peers call themselves, a record is one line, bounded, and reads back", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 700 }), fc.constant("\u{1f600}".repeat(600)));
  fc.assert(
    fc.property(text, text, fc.array(text, { maxLength: 80 }), (reason, remote, problems) => {
      const refusal = { what: "session", remote, client: reason, code: 403, reason };
      const policy = {
        outcome: "refused",
        trigger: "file",
        generation: 1,
        files: ["policy.yaml"],
        changes: problems,
        problems,
      };
      for (const [type, body] of [
        ["refusal", refusal],
        ["policy", policy],
      ] as const) {
        const { line } = link(encoder, EMPTY_CHAIN, TIME, "warn", type, body);
        assert.equal(line.indexOf(0x0a), line.length - 1);
        assert.ok(line.length <= AUDIT_LINE_BYTES);
        const parsed = parseAuditLine(line.toString("utf8", 0, line.length - 1));
        assert.ok(parsed.ok, parsed.ok ? "" : parsed.problem);
        if (parsed.record.type === "refusal" && reason.length <= 512)
          assert.equal(parsed.record.reason, reason.toWellFormed());
        if (parsed.record.type === "policy") assert.ok(parsed.record.problems.length <= 64);
      }
    }),
    { numRuns: 200 },
  );
});

test("any text is read without an exception", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.equal(parseAuditLine(text).ok, false);
    }),
  );
});

test("what is wrong with a record is named", () => {
  const envelope = `"level":"info","time":"2026-01-02T03:04:05.006Z","seq":1,"prev":"${GENESIS}"`;
  const cases: readonly (readonly [line: string, problem: string])[] = [
    ["", "not JSON"],
    ["{", "not JSON"],
    ["[]", "record: Invalid input: expected object, received array"],
    [
      `{${envelope},"type":"what"}`,
      "type: Invalid discriminator value. Expected 'open' | 'close' | 'session-up' | 'session-renewed' | 'session-down' | 'flow' | 'policy' | 'refusal' | 'certificate' | 'suppressed' | 'gap'",
    ],
    [`{${envelope},"type":"close","more":1}`, 'record: Unrecognized key: "more"'],
    [`{${envelope.replace('"seq":1', '"seq":0')},"type":"close"}`, "seq: Too small: expected number to be >0"],
    [`{${envelope.replace("006Z", "006")},"type":"close"}`, "time: Invalid ISO datetime"],
  ];
  for (const [line, problem] of cases) {
    assert.deepEqual(parseAuditLine(line), { ok: false, problem }, line);
  }
});
