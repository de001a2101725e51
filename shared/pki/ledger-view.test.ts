import assert from "node:assert/strict";
import { appendFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import fc from "fast-check";
import { DAY_MS, LEDGER_PIECE_BYTES } from "./constants.ts";
import { LedgerView } from "./ledger-view.ts";
import { ledgerLine, parseLedger } from "./ledger.ts";
import type { IssuedEntry, RevokedEntry } from "./ledger.ts";

const NOW = new Date("2026-01-01T12:00:00.000Z");
let folder = "";
let path = "";
let view: LedgerView;

before(async () => (folder = await mkdtemp(join(tmpdir(), "zgate-ledger-"))));
after(async () => await rm(folder, { recursive: true }));
beforeEach(async () => {
  path = join(folder, "ledger.jsonl");
  view = new LedgerView(path);
  await writeFile(path, "");
});

function issued(serial: number, lifetimeDays = 1): IssuedEntry {
  return {
    type: "issued",
    serial: serial.toString(16),
    kind: "client",
    name: "client-1",
    fingerprint256: "0".repeat(64),
    notBefore: NOW.toISOString(),
    notAfter: new Date(NOW.getTime() + lifetimeDays * DAY_MS).toISOString(),
  };
}
const revoked = (serial: number): RevokedEntry => ({
  type: "revoked",
  serial: serial.toString(16),
  reason: "keyCompromise",
  at: NOW.toISOString(),
});
const serials = async (now = NOW): Promise<string> => [...(await view.read(now)).issued.keys()].join(" ");

test("what is appended is seen, a line without its end when it has one", async () => {
  await appendFile(path, ledgerLine(issued(1)));
  assert.equal(await serials(), "1");
  assert.equal(await serials(), "1");
  const line = ledgerLine(issued(2));
  await appendFile(path, line.slice(0, 40));
  assert.equal(await serials(), "1");
  await appendFile(path, line.slice(40) + ledgerLine(revoked(1)));
  assert.equal(await serials(), "1 2");
  assert.ok((await view.read(NOW)).revoked.has("1"));
});

test("what a crash left is passed over", async () => {
  await appendFile(path, `${ledgerLine(issued(1))}{"type":"iss`);
  assert.equal(await serials(), "1");
  await appendFile(path, `\n${ledgerLine(issued(2))}`);
  assert.equal(await serials(), "1 2");
});

test("another file, or a shorter one, is read from the beginning", async () => {
  await appendFile(path, ledgerLine(issued(1)) + ledgerLine(issued(2)));
  assert.equal(await serials(), "1 2");
  await writeFile(path, ledgerLine(issued(3)));
  assert.equal(await serials(), "3");
  await writeFile(`${path}.new`, ledgerLine(issued(4)) + ledgerLine(issued(5)));
  await rename(`${path}.new`, path);
  assert.equal(await serials(), "4 5");
});

test("a wrong line is named, each time, until it is gone", async () => {
  await appendFile(path, `${ledgerLine(issued(1))}{}\n`);
  for (let turn = 0; turn < 2; turn++) {
    await assert.rejects(view.read(NOW), {
      code: "ZG_PKI_INVALID",
      message: `${path}:2: this is no entry of a ledger`,
    });
  }
  await writeFile(path, ledgerLine(issued(1)));
  assert.equal(await serials(), "1");
});

test("no file, or a line of any length, is an error", async () => {
  await appendFile(path, "x".repeat(LEDGER_PIECE_BYTES));
  await assert.rejects(view.read(NOW), { code: "ZG_PKI_INVALID", message: /more than 262144 bytes/ });
  await rm(path);
  await assert.rejects(view.read(NOW), { code: "ZG_FILE_UNREADABLE" });
});

test("a long ledger comes in pieces, and reads at once take turns", async () => {
  const count = Math.ceil((3 * LEDGER_PIECE_BYTES) / ledgerLine(issued(1)).length);
  const text = Array.from({ length: count }, (_, serial) => ledgerLine(issued(serial))).join("");
  await appendFile(path, text);
  const [one, other] = await Promise.all([view.read(NOW), view.read(NOW)]);
  assert.equal(one.issued.size, count);
  assert.deepEqual(one, other);
});

test("what has expired is forgotten, with its revocation", async () => {
  const later = new Date(NOW.getTime() + 2 * DAY_MS);
  const old = Array.from({ length: 5_000 }, (_, serial) => ledgerLine(issued(serial))).join("");
  await appendFile(path, old + ledgerLine(revoked(7)) + ledgerLine(issued(0xabc, 9)) + ledgerLine(issued(0xdef, 9)));
  const { issued: kept, revoked: keptRevocations } = await view.read(later);
  assert.ok(kept.size < 3_000 && kept.has("abc") && kept.has("def"), `${kept.size}`);
  assert.ok(keptRevocations.size <= 1);
});

test("however it is appended, the view is what the text says", async () => {
  const text = Array.from({ length: 30 }, (_, serial) =>
    ledgerLine(serial % 3 === 2 ? revoked(serial - 1) : issued(serial)),
  ).join("");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(text.length), { maxLength: 6 }), async (cuts) => {
      await writeFile(path, "");
      const follower = new LedgerView(path);
      let from = 0;
      for (const to of [...cuts.sort((a, b) => a - b), text.length]) {
        await appendFile(path, text.slice(from, to));
        from = to;
        await follower.read(NOW);
      }
      const [seen, expected] = [await follower.read(NOW), parseLedger(path, text)];
      assert.deepEqual([seen.issued, seen.revoked], [expected.issued, expected.revoked]);
    }),
    { numRuns: 50 },
  );
});
