import "reflect-metadata";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { X509Certificate } from "@peculiar/x509";
import { initAuthority, openRootCa, readLedger } from "./authority.ts";
import { DAY_MS } from "./constants.ts";
import { clientIdentity, normalSerial } from "./identity.ts";
import { issueLeaf, renewLeaf } from "./issuance.ts";
import type { Issued } from "./issuance.ts";
import { KEY_TYPES } from "./keys.ts";
import { REVOCATION_REASONS } from "./ledger.ts";
import { pemBlocks } from "./pem.ts";
import { RevocationIndex } from "./revocation-index.ts";
import { createRevocationList, readRevocationLists } from "./revocation-list.ts";
import { revoke, writeRevocationLists } from "./revocation.ts";

const run = promisify(execFile);
const NOW = new Date();

for (const keyType of KEY_TYPES) {
  describe(`revocation with ${keyType} keys`, () => {
    let folder = "";
    const inFolder = (name: string): string => join(folder, name);
    const client = async (name: string): Promise<Issued> =>
      await issueLeaf({ folder, kind: "client", name, names: [], keyType, now: NOW });
    const serialOf = (issued: Issued): string => normalSerial(issued.certificate.serialNumber);

    /** OpenSSL's verdict with every list of the chain asked for. */
    async function openssl(path: string): Promise<string> {
      const trust = [
        "-CAfile",
        inFolder("ca.pem"),
        "-untrusted",
        inFolder("issuing-ca.pem"),
        "-CRLfile",
        inFolder("crl.pem"),
      ];
      const result = await run("openssl", ["verify", "-x509_strict", "-crl_check_all", ...trust, path]).catch(
        (error: Error & { stderr?: string }) => ({ stdout: "", stderr: error.stderr ?? error.message }),
      );
      return result.stdout + result.stderr;
    }

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "zgate-crl-"));
      await initAuthority({ folder, name: "test", keyType, now: NOW });
    });
    after(async () => await rm(folder, { recursive: true }));

    test("the lists that init makes are complete", async () => {
      assert.match(await openssl((await client("fresh")).certificatePath), /OK/);
    });

    test("by name, by serial number, by file; others stay valid", async () => {
      const [a, b, c, d] = [await client("a"), await client("b"), await client("c"), await client("d")];
      for (const what of ["a", serialOf(b).toUpperCase(), c.certificatePath]) {
        assert.equal((await revoke({ folder, what, reason: "keyCompromise", now: NOW })).length, 1);
      }
      for (const one of [a, b, c]) assert.match(await openssl(one.certificatePath), /certificate revoked/);
      assert.match(await openssl(d.certificatePath), /OK/);
      const { stdout } = await run("openssl", ["crl", "-in", inFolder("crl.pem"), "-noout", "-text"]);
      assert.equal(stdout.match(/Key Compromise/g)?.length, 3);
    });

    test("a name stands for all its valid certificates", async () => {
      await client("twice");
      await renewLeaf({ folder, name: "twice", keyType, now: NOW });
      assert.equal((await revoke({ folder, what: "twice", reason: "superseded", now: NOW })).length, 2);
    });

    test("the index that a relay keeps says the same as the list", async () => {
      const [gone, kept] = [await client("gone"), await client("kept")];
      await revoke({ folder, what: "gone", reason: "superseded", now: NOW });
      const index = new RevocationIndex("crl.pem", await readFile(inFolder("crl.pem"), "utf8"), "");
      const chain = async (issued: Issued): Promise<Uint8Array[]> =>
        pemBlocks("chain", await readFile(issued.certificatePath, "utf8"), "CERTIFICATE").map(
          (block) => new Uint8Array(new X509Certificate(block).rawData),
        );
      const revoked = async (issued: Issued): Promise<string | undefined> => {
        const [leaf = new Uint8Array(), ...above] = await chain(issued);
        return index.revokedSerial(clientIdentity(leaf), [leaf, ...above]);
      };
      assert.equal(await revoked(gone), serialOf(gone));
      assert.equal(await revoked(kept), undefined);
    });

    test("with its issuing CA every leaf is revoked", async () => {
      const one = await client("below");
      const [leafPem = "", issuingPem = ""] = pemBlocks(
        "c",
        await readFile(one.certificatePath, "utf8"),
        "CERTIFICATE",
      );
      const der = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).rawData);
      const root = await openRootCa(folder);
      assert.ok(root !== undefined);
      const serial = normalSerial(new X509Certificate(issuingPem).serialNumber);
      const entry = { type: "revoked", serial, reason: "superseded", at: NOW.toISOString() } as const;
      const index = new RevocationIndex("c", await createRevocationList(root, [entry], NOW, DAY_MS), "");
      const chain = [der(leafPem), der(issuingPem)];
      for (let again = 0; again < 2; again++)
        assert.equal(index.revokedSerial(clientIdentity(der(leafPem)), chain), serial);
      assert.equal(index.revokedSerial(clientIdentity(der(leafPem)), chain.slice(0, 1)), undefined);
      // Nobody verified what a client sends beside its chain: what is no certificate changes nothing.
      const beside = [Uint8Array.of(), Uint8Array.of(0x30, 0x80), der(issuingPem).subarray(0, -1)];
      for (const junk of beside) {
        const [leaf = new Uint8Array(), issuing = new Uint8Array()] = chain;
        assert.equal(index.revokedSerial(clientIdentity(leaf), [leaf, junk, issuing]), serial);
        assert.equal(index.revokedSerial(clientIdentity(leaf), [leaf, junk]), undefined);
      }
    });

    test("OpenSSL reads what we write, with every reason and beyond 2050", async () => {
      const root = await openRootCa(folder);
      assert.ok(root !== undefined);
      const at = "2051-01-01T00:00:00.000Z";
      const entries = REVOCATION_REASONS.map(
        (reason, index) => ({ type: "revoked", serial: `8${index}`, reason, at }) as const,
      );
      const pem = await createRevocationList(root, entries, new Date("2049-12-31T00:00:00Z"), DAY_MS);
      await writeFile(inFolder("reasons.pem"), pem);
      const { stdout, stderr } = await run("openssl", [
        "crl",
        "-in",
        inFolder("reasons.pem"),
        "-noout",
        "-text",
        "-CAfile",
        inFolder("ca.pem"),
      ]);
      assert.match(stderr, /verify OK/);
      for (const reason of [
        "Key Compromise",
        "Affiliation Changed",
        "Superseded",
        "Cessation Of Operation",
        "Privilege Withdrawn",
      ]) {
        assert.ok(stdout.includes(reason), reason);
      }
      assert.equal(stdout.match(/Reason Code/g)?.length, entries.length - 1);
      assert.deepEqual(
        [...(readRevocationLists("l", pem)[0]?.serials ?? [])],
        entries.map((entry) => entry.serial),
      );
    });

    test("every cut of a list is refused, and a list of many entries is quick", async () => {
      const root = await openRootCa(folder);
      assert.ok(root !== undefined);
      const many = Array.from(
        { length: 50_000 },
        (_, index) =>
          ({
            type: "revoked",
            serial: (2 ** 40 + index).toString(16),
            reason: "superseded",
            at: NOW.toISOString(),
          }) as const,
      );
      const started = performance.now();
      const pem = await createRevocationList(root, many, NOW, DAY_MS);
      assert.equal(readRevocationLists("l", pem)[0]?.serials.size, many.length);
      assert.ok(performance.now() - started < 5000, `${performance.now() - started} ms`);
      const few = Buffer.from(
        (await createRevocationList(root, many.slice(0, 3), NOW, DAY_MS)).replaceAll(/-----[^-]+-----|\s/g, ""),
        "base64",
      );
      for (let length = 0; length < few.length; length++) {
        const cut = `-----BEGIN X509 CRL-----\n${few.subarray(0, length).toString("base64")}\n-----END X509 CRL-----\n`;
        assert.throws(() => readRevocationLists("l", cut), { code: "ZG_TLS_MATERIAL" });
      }
    });

    test("a list that is no list is refused with its file", () => {
      const text = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
      assert.throws(() => new RevocationIndex("x.pem", text, ""), {
        code: "ZG_TLS_MATERIAL",
        message: /^x\.pem: a revocation list in it cannot be read: /,
      });
    });

    test("an expired revocation leaves the list a day after the certificate's end", async () => {
      const short = await client("short");
      await revoke({ folder, what: "short", reason: "superseded", now: NOW });
      const listed = async (days: number): Promise<boolean> => {
        await writeRevocationLists({ folder, now: new Date(NOW.getTime() + days * DAY_MS) });
        const index = new RevocationIndex("crl.pem", await readFile(inFolder("crl.pem"), "utf8"), "");
        return index.revokedSerial(clientIdentity(new Uint8Array(short.certificate.rawData)), []) !== undefined;
      };
      assert.deepEqual(
        [await listed(0), await listed(1.9), await listed(2.1), await listed(0)],
        [true, true, false, true],
      );
    });

    test("without the root's key its list stays", async () => {
      const [, before] = pemBlocks("crl.pem", await readFile(inFolder("crl.pem"), "utf8"), "X509 CRL");
      await rename(inFolder("ca-key.pem"), inFolder("offline"));
      const one = await client("offline-root");
      await revoke({ folder, what: "offline-root", reason: "superseded", now: NOW });
      const [, after] = pemBlocks("crl.pem", await readFile(inFolder("crl.pem"), "utf8"), "X509 CRL");
      assert.equal(after, before);
      assert.match(await openssl(one.certificatePath), /certificate revoked/);
      await rename(inFolder("offline"), inFolder("ca-key.pem"));
    });

    test("what is not there, or revoked already, is an error", async () => {
      for (const what of ["nobody", "a", "ffff"]) {
        await assert.rejects(revoke({ folder, what, reason: "superseded", now: NOW }), {
          code: "ZG_PKI_INVALID",
          message: `${what}: the authority in ${folder} has no valid certificate of it`,
        });
      }
    });

    test("an entry after what a crash left is not lost", async () => {
      await client("torn");
      await appendFile(inFolder("ledger.jsonl"), '{"type":"revoked","ser');
      await revoke({ folder, what: "torn", reason: "superseded", now: NOW });
      const { issued, revoked } = await readLedger(folder);
      const entry = [...issued.values()].find((one) => one.name === "torn");
      assert.ok(entry !== undefined && revoked.has(entry.serial));
    });
  });
}

describe("renewal", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "zgate-renew-"));
    await initAuthority({ folder, name: "test", keyType: "p256", now: NOW });
  });
  after(async () => await rm(folder, { recursive: true }));

  test("keeps names, kind and lifetime, changes key and serial number", async () => {
    const names = ["relay.example", "192.0.2.1", "2001:db8::1"];
    const old = await issueLeaf({
      folder,
      kind: "relay",
      name: "r",
      names,
      keyType: "p256",
      lifetimeMs: 3 * DAY_MS,
      now: NOW,
    });
    const later = new Date(NOW.getTime() + 10 * DAY_MS);
    const renewed = await renewLeaf({ folder, name: "r", keyType: "ed25519", now: later });
    const { stdout } = await run("openssl", [
      "x509",
      "-in",
      renewed.certificatePath,
      "-noout",
      "-ext",
      "subjectAltName,extendedKeyUsage",
    ]);
    assert.match(stdout, /DNS:relay\.example, IP Address:192\.0\.2\.1, IP Address:2001:DB8:0:0:0:0:0:1/);
    assert.match(stdout, /TLS Web Server Authentication/);
    assert.notEqual(renewed.certificate.serialNumber, old.certificate.serialNumber);
    assert.equal(renewed.certificate.notAfter.getTime(), Math.floor(later.getTime() / 1000) * 1000 + 3 * DAY_MS);
    const pairs = await run("openssl", ["pkey", "-in", renewed.keyPath, "-pubout"]);
    const certified = await run("openssl", ["x509", "-in", renewed.certificatePath, "-noout", "-pubkey"]);
    assert.equal(pairs.stdout, certified.stdout);
  });

  test("a revoked certificate is not renewed", async () => {
    await issueLeaf({ folder, kind: "client", name: "c", names: [], keyType: "p256", now: NOW });
    await revoke({ folder, what: "c", reason: "superseded", now: NOW });
    await assert.rejects(renewLeaf({ folder, name: "c", keyType: "p256", now: NOW }), {
      code: "ZG_PKI_INVALID",
      message: /c\.pem: the certificate is revoked; issue another one/,
    });
  });

  test("a certificate of another authority is not renewed", async () => {
    const other = await mkdtemp(join(tmpdir(), "zgate-renew-"));
    try {
      await initAuthority({ folder: other, name: "test", keyType: "p256", now: NOW });
      const { certificatePath } = await issueLeaf({
        folder: other,
        kind: "client",
        name: "o",
        names: [],
        keyType: "p256",
        now: NOW,
      });
      await rename(certificatePath, join(folder, "o.pem"));
      await assert.rejects(renewLeaf({ folder, name: "o", keyType: "p256", now: NOW }), {
        message: /is not of the issuing CA/,
      });
    } finally {
      await rm(other, { recursive: true });
    }
  });
});
