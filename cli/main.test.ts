import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import packageJson from "../package.json" with { type: "json" };

const LAUNCHER = new URL("zgate", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "zgate-cli-"));
after(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function zgate(args: readonly string[], env: Record<string, string> = {}, launcher = LAUNCHER): Outcome {
  const { PATH = "" } = process.env;
  return spawnSync(launcher, args, { cwd: folder, encoding: "utf8", env: { PATH, ...env } });
}

test("the launcher works through symbolic links, relative ones too", () => {
  symlinkSync(LAUNCHER, join(folder, "one"));
  symlinkSync("one", join(folder, "two"));
  assert.equal(zgate(["--version"], {}, join(folder, "two")).stdout, `${packageJson.version}\n`);
});

test("help names every group, and every group has help", () => {
  const { stdout, status } = zgate(["--help"]);
  assert.equal(status, 0);
  for (const group of ["relay", "agent", "pki", "audit"]) {
    assert.match(stdout, new RegExp(`^  ${group} `, "m"));
    const help = zgate([group, "--help"]);
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, new RegExp(`^Usage: zgate ${group}`));
    assert.equal(zgate(["help", group]).stdout, help.stdout);
  }
});

test("help shows each default once, as a user would write it", () => {
  for (const [command, shown] of [
    [["pki", "serve"], "default: 0.0.0.0:4433)"],
    [["pki", "token", "create"], "default: 15m)"],
    [["pki", "init"], "one of p256, ed25519; default: p256)"],
    [["policy", "reload"], "default: 127.0.0.1:9443)"],
  ] as const) {
    const help = zgate([...command, "--help"]).stdout.replaceAll(/\s+/g, " ");
    assert.ok(help.includes(shown), help);
    assert.doesNotMatch(help, /\(default: [^)]*\) \(default|default: ["{[]/);
  }
});

const FAILURES: readonly [args: readonly string[], status: number, stderr: string][] = [
  [["rely"], 2, "zgate: ZG_CONFIG_INVALID: unknown command 'rely' (Did you mean relay?)\n"],
  [["relay", "--polcy", "x"], 2, "zgate: ZG_CONFIG_INVALID: unknown option '--polcy' (Did you mean --policy?)\n"],
  [
    ["relay", "more"],
    2,
    "zgate: ZG_CONFIG_INVALID: too many arguments for 'relay'. Expected 0 arguments but got 1: more.\n",
  ],
  [
    ["agent", "--config", "none.yaml"],
    2,
    "zgate: ZG_FILE_UNREADABLE: none.yaml cannot be read: ENOENT: no such file or directory, open 'none.yaml'\n",
  ],
  [
    ["agent", "--config", "wrong.yaml"],
    2,
    "zgate: ZG_CONFIG_INVALID: key is missing: give --key FILE, ZGATE_KEY, or key in the file\n" +
      'zgate: ZG_CONFIG_INVALID: wrong.yaml:1:8: lanes: expected a whole number from 1 to 64, got "none"\n',
  ],
  [
    ["pki", "issue", "client", "a/b"],
    3,
    'zgate: ZG_PKI_INVALID: "a/b" cannot name a certificate: letters, digits, and . _ @ + - after the first, at most 64 in all\n',
  ],
  [
    ["pki", "issue", "client", "a", "--days", "0"],
    2,
    "zgate: ZG_CONFIG_INVALID: option '--days <COUNT>' argument '0' is invalid. expected a number of days up to 3650.\n",
  ],
];

for (const [args, status, stderr] of FAILURES) {
  test(`fails: zgate ${args.join(" ")}`, () => {
    writeFileSync(join(folder, "wrong.yaml"), "lanes: none\ncert: c\nca: c\nrelay: r\n");
    const outcome = zgate(args);
    assert.deepEqual([outcome.status, outcome.stderr], [status, stderr]);
  });
}

test("ZGATE_DEBUG=1 adds the stack trace and the causes", () => {
  const args = ["agent", "--config", "none.yaml"];
  assert.doesNotMatch(zgate(args).stderr, /\n\s+at /);
  assert.match(zgate(args, { ZGATE_DEBUG: "1" }).stderr, /ZgateError: [^]*\n\s+at [^]*ENOENT[^]*\n\s+at /);
});

test("pki init and issue make the files and print their paths", () => {
  const init = zgate(["pki", "init"]);
  assert.deepEqual([init.status, init.stderr], [0, ""]);
  const relay = zgate(["pki", "issue", "relay", "relay", "--san", "relay.example", "127.0.0.1", "--days", "30"]);
  assert.deepEqual([relay.status, relay.stderr], [0, ""]);
  assert.match(relay.stdout, /^certs\/relay\.pem \(until .*Z\)\ncerts\/relay-key\.pem\n$/);
  const issuing = ["crl.pem", "issuing-ca-key.pem", "issuing-ca.pem", "ledger.jsonl"];
  const expected = ["ca-key.pem", "ca.pem", ...issuing, "relay-key.pem", "relay.pem"];
  assert.deepEqual(readdirSync(join(folder, "certs")).sort(), expected);
  const again = zgate(["pki", "init"]);
  assert.equal(again.status, 2);
  assert.match(again.stderr, /^zgate: ZG_FILE_EXISTS: certs\/ca-key\.pem is there already/);
});
