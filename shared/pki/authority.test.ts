import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { initAuthority } from "./authority.ts";
import { issueLeaf } from "./issuance.ts";
import type { IssueOptions } from "./issuance.ts";
import { DAY_MS } from "./constants.ts";
import { clientIdentity } from "./identity.ts";
import { KEY_TYPES } from "./keys.ts";

const run = promisify(execFile);
const PASSPHRASE = "correct horse battery";
const NOW = new Date();

/** `openssl verify` with the checks of RFC 5280 that it leaves out by default. Resolves to its verdict. */
async function opensslVerify(
  folder: string,
  purpose: string,
  leaf: string,
  more: readonly string[] = [],
): Promise<string> {
  const trust = ["-CAfile", join(folder, "ca.pem"), "-untrusted", join(folder, "issuing-ca.pem")];
  const result = await run("openssl", [
    "verify",
    "-x509_strict",
    "-check_ss_sig",
    "-purpose",
    purpose,
    ...trust,
    ...more,
    leaf,
  ]).catch((error: Error & { stdout?: string; stderr?: string }) => ({
    stdout: error.stdout ?? "",
    stderr: error.stderr ?? error.message,
  }));
  return result.stdout + result.stderr;
}

for (const keyType of KEY_TYPES) {
  describe(`an authority with ${keyType} keys`, () => {
    let folder = "";
    const issue = async (changes: Partial<IssueOptions>): ReturnType<typeof issueLeaf> =>
      await issueLeaf({
        folder,
        kind: "client",
        name: "client-1",
        names: [],
        keyType,
        passphrase: PASSPHRASE,
        now: NOW,
        ...changes,
      });

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "zgate-ca-"));
      await initAuthority({ folder, name: "test", keyType, passphrase: PASSPHRASE, now: NOW });
    });
    after(async () => await rm(folder, { recursive: true }));

    test("OpenSSL's strict checks accept a client for clients only, a relay for servers only", async () => {
      const client = await issue({});
      const relay = await issue({ kind: "relay", name: "relay", names: ["relay.example", "192.0.2.1", "2001:db8::1"] });
      assert.match(await opensslVerify(folder, "sslclient", client.certificatePath), /OK/);
      assert.match(
        await opensslVerify(folder, "sslserver", client.certificatePath),
        /unsuitable|unsupported certificate purpose/,
      );
      assert.match(await opensslVerify(folder, "sslserver", relay.certificatePath), /OK/);
      assert.match(
        await opensslVerify(folder, "sslclient", relay.certificatePath),
        /unsuitable|unsupported certificate purpose/,
      );
      for (const [check, name, verdict] of [
        ["-verify_hostname", "relay.example", /OK/],
        ["-verify_hostname", "other.example", /hostname mismatch/],
        ["-verify_ip", "192.0.2.1", /OK/],
        ["-verify_ip", "2001:db8::1", /OK/],
        ["-verify_ip", "192.0.2.2", /IP address mismatch/],
      ] as const) {
        assert.match(await opensslVerify(folder, "sslserver", relay.certificatePath, [check, name]), verdict);
      }
    });

    test("a leaf cannot sign another, and the issuing CA no further CA", async () => {
      const issuing = new X509Certificate(await readFile(join(folder, "issuing-ca.pem")));
      const { stdout } = await run("openssl", [
        "x509",
        "-in",
        join(folder, "issuing-ca.pem"),
        "-noout",
        "-ext",
        "basicConstraints,keyUsage",
      ]);
      assert.ok(issuing.ca);
      assert.match(stdout, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
      assert.match(stdout, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
    });

    test("the client's name comes back from its certificate", async () => {
      const { certificate } = await issue({ name: "client-2" });
      assert.equal(clientIdentity(new Uint8Array(certificate.rawData)).name, "client-2");
    });

    test("lifetimes: a day for a client, 90 days for a relay, what is asked for, never beyond the CA's", async () => {
      const lifetimes: readonly [Partial<IssueOptions>, number][] = [
        [{ name: "short" }, DAY_MS],
        [{ name: "long", kind: "relay" }, 90 * DAY_MS],
        [{ name: "asked", lifetimeMs: 7 * DAY_MS }, 7 * DAY_MS],
        [{ name: "endless", lifetimeMs: 3650 * DAY_MS }, 1825 * DAY_MS],
      ];
      const second = Math.floor(NOW.getTime() / 1000) * 1000;
      for (const [changes, lifetime] of lifetimes) {
        assert.equal((await issue(changes)).certificate.notAfter.getTime() - second, lifetime);
      }
    });

    test("keys are PKCS #8 of mode 0600, the CA's encrypted", async () => {
      const names = (await readdir(folder)).filter((name) => name.endsWith("-key.pem"));
      assert.ok(names.length > 2);
      for (const name of names) {
        assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600, name);
        const begin = name.includes("ca-key") ? "-----BEGIN ENCRYPTED PRIVATE KEY-----" : "-----BEGIN PRIVATE KEY-----";
        assert.ok((await readFile(join(folder, name), "utf8")).startsWith(begin), name);
      }
      assert.deepEqual(
        (await readdir(folder)).filter((name) => name.endsWith(".new")),
        [],
      );
    });

    test("serial numbers have 128 bits and differ", async () => {
      const serials = [];
      for (const name of ["s1", "s2", "s3"]) serials.push((await issue({ name })).certificate.serialNumber);
      assert.ok(
        serials.every((serial) => /^[4-7][0-9a-f]{31}$/.test(serial)),
        serials.join(),
      );
      assert.equal(new Set(serials).size, serials.length);
    });

    const REFUSED: readonly [what: string, changes: Partial<IssueOptions>, code: string, message: RegExp][] = [
      ["a name that is there", { name: "ca" }, "ZG_FILE_EXISTS", /ca-key\.pem is there already/],
      ["a name with a path", { name: "../x" }, "ZG_PKI_INVALID", /cannot name a certificate/],
      ["an empty name", { name: "" }, "ZG_PKI_INVALID", /cannot name a certificate/],
      ["a long name", { name: "x".repeat(65) }, "ZG_PKI_INVALID", /cannot name a certificate/],
      ["a name with a space", { name: "a b" }, "ZG_PKI_INVALID", /cannot name a certificate/],
      [
        "a relay's wrong host name",
        { kind: "relay", name: "r", names: ["a b"] },
        "ZG_PKI_INVALID",
        /neither a DNS name nor an IP address/,
      ],
      [
        "a relay's mistyped address",
        { kind: "relay", name: "r", names: ["10.0.0.256"] },
        "ZG_PKI_INVALID",
        /neither a DNS name nor an IP address/,
      ],
      [
        "a wrong passphrase",
        { name: "p", passphrase: "wrong horse battery" },
        "ZG_PKI_INVALID",
        /the passphrase is wrong/,
      ],
      [
        "a CA that has expired",
        { name: "p", now: new Date(NOW.getTime() + 3650 * DAY_MS) },
        "ZG_PKI_INVALID",
        /has expired on/,
      ],
      [
        "a folder without a CA",
        { name: "p", folder: "/nonexistent" },
        "ZG_FILE_UNREADABLE",
        /\/nonexistent holds no issuing CA: zgate pki init makes one/,
      ],
    ];
    for (const [what, changes, code, message] of REFUSED) {
      test(`refused: ${what}`, async () => {
        const files = await readdir(folder);
        await assert.rejects(issue(changes), { code, message });
        assert.deepEqual(await readdir(folder), files, "nothing was written");
      });
    }

    test("a second init overwrites nothing", async () => {
      const before = await readFile(join(folder, "ca.pem"), "utf8");
      await assert.rejects(initAuthority({ folder, name: "again", keyType, now: NOW }), { code: "ZG_FILE_EXISTS" });
      assert.equal(await readFile(join(folder, "ca.pem"), "utf8"), before);
    });
  });
}

test("half an authority is not overwritten either, and what was begun is taken back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "zgate-ca-"));
  try {
    await writeFile(join(folder, "issuing-ca.pem"), "mine");
    await assert.rejects(initAuthority({ folder, name: "x", keyType: "p256", now: NOW }), { code: "ZG_FILE_EXISTS" });
    assert.deepEqual(await readdir(folder), ["issuing-ca.pem"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
