import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DENIED, FLOW, REFUSAL, UP } from "../relay/audit-fixture.ts";
import { rotatedFiles } from "../relay/audit-file.ts";
import { AuditLog } from "../relay/audit-log.ts";
import type { ChainReport } from "../relay/audit-verify.ts";

const PROGRAM = `
  import { auditCommand } from ${JSON.stringify(import.meta.resolve("./audit.ts"))};
  await auditCommand().parseAsync(process.argv.slice(1), { from: "user" });
`;

let folder = "";
let files: string[] = [];
let head = "";

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "zgate-audit-"));
  const path = join(folder, "audit.jsonl");
  const log = await AuditLog.open({ path, version: "0.1.0", failClosed: false, maxBytes: 2_000 });
  log.sessionUp({ ...UP, client: "evil\u001b[2J\u202e" });
  for (let index = 0; index < 10; index++) log.flow(index % 2 === 0 ? FLOW : DENIED);
  log.refusal(REFUSAL);
  await log.close();
  const last = log.stats().head;
  head = `${last.seq}:${last.hash}`;
  files = [path, ...(await rotatedFiles(path))];
});

after(() => rmSync(folder, { recursive: true }));

function audit(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const flags = ["--input-type=module", "-e", PROGRAM, "--", ...args];
  return spawnSync(process.execPath, flags, { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
}

test("verify takes the files of a log in any order", () => {
  for (const order of [files, files.toReversed(), [...files, ...files]]) {
    const { status, stdout } = audit("verify", ...order);
    assert.equal(stdout, `whole: 14 records, 1 to 14; head ${head}\n`);
    assert.equal(status, 0);
  }
  assert.equal(audit("verify", "--head", head, ...files).status, 0);
});

test("verify says where, and exits with 3", () => {
  const changed = join(folder, "changed.jsonl");
  const [current = ""] = files;
  writeFileSync(changed, readFileSync(current, "utf8").replace("192.0.2.9", "192.0.2.8"));
  const { status, stdout } = audit("verify", changed);
  assert.equal(status, 3);
  assert.match(stdout, /changed\.jsonl:\d+: changed: record 14 does not continue record 13 \(line \d+\)/);
  assert.match(stdout, /not whole: \d+ records, \d+ to 14; 1 problems\n$/);

  const { status: jsonStatus, stdout: json } = audit("verify", "--json", changed);
  const report = JSON.parse(json) as ChainReport;
  assert.equal(jsonStatus, 3);
  assert.equal(report.ok, false);
  assert.equal(report.problems[0]?.kind, "changed");

  const cut = audit("verify", "--head", head, ...files.slice(1));
  assert.equal(cut.status, 3);
  assert.match(cut.stdout, /head: record 14 was written and is missing/);
});

test("verify refuses what it cannot read, and a head that is none", () => {
  const missing = audit("verify", join(folder, "missing"));
  assert.match(missing.stderr, /ZG_FILE_UNREADABLE|ENOENT/);
  assert.notEqual(missing.status, 0);
  assert.match(
    audit("verify", "--head", "1:2", ...files).stderr,
    /Expected a record number, a colon and 64 hexadecimal digits/,
  );
});

test("show prints one line a record, filtered, and no control characters", () => {
  const all = audit("show", ...files)
    .stdout.split("\n")
    .slice(0, -1);
  assert.equal(all.length, 14);
  assert.match(all[1] ?? "", /session-up {3}evil�\[2J� from 192\.0\.2\.7:50000 as 10\.77\.0\.2, fd77:7a67::2 /);
  assert.match(
    all[2] ?? "",
    /flow {9}client-1 10\.77\.0\.2:40000 > 10\.50\.0\.10:443 tcp allow by allow-web, 1000 B up, 20000 B down$/,
  );
  const denied = audit("show", "--denied", ...files)
    .stdout.split("\n")
    .slice(0, -1);
  assert.equal(denied.length, 6);
  assert.equal(audit("show", "--type", "flow", "--client", "client-1", ...files).stdout.split("\n").length, 11);
  assert.equal(audit("show", "--client", "nobody", ...files).stdout, "");
});
