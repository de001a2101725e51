import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { ledgerLine, parseLedger, REVOCATION_REASONS, stateOf, withRenewals } from "./ledger.ts";
import type { IssuedEntry, LedgerEntry } from "./ledger.ts";

const ISSUED = {
  type: "issued",
  serial: "ab12",
  kind: "client",
  name: "client-1",
  fingerprint256: "0".repeat(64),
  notBefore: "2026-01-01T00:00:00.000Z",
  notAfter: "2026-01-02T00:00:00.000Z",
} as const satisfies LedgerEntry;
const REVOKED = {
  type: "revoked",
  serial: "ab12",
  reason: "keyCompromise",
  at: "2026-01-01T12:00:00.000Z",
} as const satisfies LedgerEntry;

test("entries come back by serial number", () => {
  const ledger = parseLedger("l", ledgerLine(ISSUED) + ledgerLine(REVOKED));
  assert.deepEqual([...ledger.issued.values()], [ISSUED]);
  assert.deepEqual([...ledger.revoked.values()], [REVOKED]);
});

test("the first revocation counts", () => {
  const later = { ...REVOKED, at: "2026-01-01T13:00:00.000Z", reason: "superseded" } as const;
  assert.deepEqual(parseLedger("l", ledgerLine(REVOKED) + ledgerLine(later)).revoked.get("ab12"), REVOKED);
});

test("valid, expired, revoked", () => {
  const clean = parseLedger("l", ledgerLine(ISSUED));
  assert.equal(stateOf(ISSUED, clean, new Date("2026-01-01T23:59:59Z")), "valid");
  assert.equal(stateOf(ISSUED, clean, new Date("2026-01-02T00:00:00Z")), "expired");
  assert.equal(stateOf(ISSUED, parseLedger("l", ledgerLine(ISSUED) + ledgerLine(REVOKED)), new Date(0)), "revoked");
});

test("what a crash left of a line is passed over, wherever it stands, in every length", () => {
  const line = ledgerLine(REVOKED);
  for (let length = 0; length < line.length - 2; length++) {
    const torn = line.slice(0, length);
    for (const text of [ledgerLine(ISSUED) + torn, `${torn}\n${ledgerLine(ISSUED)}`]) {
      const ledger = parseLedger("l", text);
      assert.equal(ledger.issued.size, 1);
      assert.equal(ledger.revoked.size, 0);
    }
  }
});

const WRONG: readonly object[] = [
  {},
  { ...ISSUED, serial: "AB12" },
  { ...ISSUED, more: 1 },
  { ...ISSUED, notAfter: "tomorrow" },
  { ...REVOKED, reason: "because" },
  { ...REVOKED, type: "forgotten" },
  { ...ISSUED, renews: "../ab12" },
];

for (const entry of WRONG) {
  test(`refused: ${JSON.stringify(entry)}`, () => {
    const text = ledgerLine(ISSUED) + `${JSON.stringify(entry)}\n`;
    assert.throws(() => parseLedger("l.jsonl", text), {
      code: "ZG_PKI_INVALID",
      message: "l.jsonl:2: this is no entry of a ledger",
    });
  });
}

test("the renewals of a certificate are found, and those of others are not", () => {
  const issued = (serial: string, renews?: string): IssuedEntry => ({
    ...ISSUED,
    serial,
    ...(renews === undefined ? {} : { renews }),
  });
  const entries = [issued("a"), issued("b"), issued("c", "a"), issued("d", "b"), issued("e", "c")];
  const ledger = parseLedger("l", entries.map(ledgerLine).join(""));
  for (const [from, found] of [
    ["a", "ace"],
    ["b", "bd"],
    ["c", "ce"],
    ["e", "e"],
  ] as const) {
    const serials = withRenewals([issued(from)], ledger).map(({ serial }) => serial);
    assert.equal(serials.join(""), found);
  }
});

test("a round trip of any entries, and no text throws anything else", () => {
  const serial = fc.stringMatching(/^[0-9a-f]{1,40}$/);
  const revoked = fc.record(
    {
      type: fc.constant("revoked" as const),
      serial,
      reason: fc.constantFrom(...REVOCATION_REASONS),
      at: fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31") })
        .map((date) => date.toISOString()),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.uniqueArray(revoked, { selector: (entry) => entry.serial, maxLength: 20 }), (entries) => {
      assert.deepEqual([...parseLedger("l", entries.map(ledgerLine).join("")).revoked.values()], entries);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.json(), fc.constantFrom("}", "\n", "{}"))), (parts) => {
      try {
        parseLedger("l", parts.join(""));
      } catch (error) {
        assert.ok(error instanceof ZgateError);
      }
    }),
  );
});
