import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { unixMs } from "../units.ts";
import { initAuthority } from "./authority.ts";
import { issueLeaf } from "./issuance.ts";
import { DAY_MS } from "./constants.ts";
import { loadChangedTlsFiles, loadTlsFiles } from "./tls-files.ts";
import type { TlsFiles } from "./tls-files.ts";

const NOW = new Date("2026-06-01T12:00:00Z");
const at = (days: number): ReturnType<typeof unixMs> => unixMs(NOW.getTime() + days * DAY_MS);

let folder = "";
const inFolder = (name: string): string => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "zgate-tls-"));
  await initAuthority({ folder, name: "test", keyType: "p256", now: NOW });
  for (const name of ["client-1", "client-2"]) {
    await issueLeaf({ folder, kind: "client", name, names: [], keyType: "p256", now: NOW });
  }
  await writeFile(inFolder("text"), "hello\n");
  await writeFile(inFolder("cut.pem"), (await readFile(inFolder("client-1.pem"), "utf8")).slice(0, 900));
  await writeFile(inFolder("garbage.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  await writeFile(inFolder("garbage-key.pem"), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
  await writeFile(
    inFolder("locked-key.pem"),
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
  );
});
after(async () => await rm(folder, { recursive: true }));

function files(changes: Partial<TlsFiles> = {}): TlsFiles {
  const own = { cert: inFolder("client-1.pem"), key: inFolder("client-1-key.pem"), ca: inFolder("ca.pem") };
  return { ...own, keyExchange: "prefer-pq", ...changes };
}

test("good files are loaded as they are", async () => {
  const loaded = await loadTlsFiles(files(), at(0));
  assert.equal(loaded.material.certificatePem, await readFile(inFolder("client-1.pem"), "utf8"));
  assert.equal(loaded.material.certificatePem.match(/BEGIN CERTIFICATE/g)?.length, 2);
  assert.equal("crlPem" in loaded.material, false);
  assert.equal(loaded.leaf.subject, "CN=client-1");
  assert.equal(loaded.leaf.notAfter, at(1));
  assert.deepEqual(loaded.warnings, []);
  assert.deepEqual(loaded.files, [inFolder("client-1.pem"), inFolder("client-1-key.pem"), inFolder("ca.pem")]);
});

const REFUSED: readonly [what: string, changes: () => Partial<TlsFiles>, days: number, message: RegExp][] = [
  [
    "a certificate that is text",
    () => ({ cert: inFolder("text") }),
    0,
    /text: there is no PEM block of a certificate in it/,
  ],
  [
    "a certificate that is a key",
    () => ({ cert: inFolder("ca-key.pem") }),
    0,
    /ca-key\.pem: there is no PEM block of a certificate/,
  ],
  [
    "a certificate file that is cut off",
    () => ({ cert: inFolder("cut.pem") }),
    0,
    /cut\.pem: the PEM block CERTIFICATE in it has no end/,
  ],
  [
    "a certificate of garbage",
    () => ({ cert: inFolder("garbage.pem") }),
    0,
    /garbage\.pem: certificate 1 in it cannot be parsed/,
  ],
  ["an expired certificate", () => ({}), 2, /client-1\.pem: the certificate has expired on 2026-06-02T12:00:00\.000Z/],
  ["a certificate of the future", () => ({}), -2, /valid only from 2026-06-01T11:55:00\.000Z; is the clock right\?/],
  [
    "another's key",
    () => ({ key: inFolder("client-2-key.pem") }),
    0,
    /client-2-key\.pem: the key is not that of the certificate in .*client-1\.pem/,
  ],
  [
    "a key that is a certificate",
    () => ({ key: inFolder("ca.pem") }),
    0,
    /ca\.pem: there is no PEM block of a private key in it/,
  ],
  ["a key of garbage", () => ({ key: inFolder("garbage-key.pem") }), 0, /garbage-key\.pem: the key cannot be read/],
  ["an encrypted key", () => ({ key: inFolder("locked-key.pem") }), 0, /locked-key\.pem: the key is encrypted/],
  [
    "a CA that is a leaf",
    () => ({ ca: inFolder("client-2.pem") }),
    0,
    /client-2\.pem: CN=client-2 is not a CA certificate/,
  ],
  [
    "a CRL that is a certificate",
    () => ({ crl: inFolder("ca.pem") }),
    0,
    /ca\.pem: there is no PEM block of a revocation list/,
  ],
];

for (const [what, changes, days, message] of REFUSED) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(loadTlsFiles(files(changes()), at(days)), { code: "ZG_TLS_MATERIAL", message });
  });
}

test("an overdue revocation list is a warning, one of garbage a refusal", async () => {
  const withList = files({ crl: inFolder("crl.pem") });
  assert.deepEqual((await loadTlsFiles(withList, at(0))).warnings, []);
  await issueLeaf({
    folder,
    kind: "client",
    name: "long",
    names: [],
    keyType: "p256",
    lifetimeMs: 30 * DAY_MS,
    now: NOW,
  });
  const long = { cert: inFolder("long.pem"), key: inFolder("long-key.pem"), crl: inFolder("crl.pem") };
  const { warnings, material } = await loadTlsFiles(files(long), at(8));
  assert.match(
    warnings.join(),
    /crl\.pem: a revocation list in it should have been replaced by 2026-06-08T12:00:00\.000Z/,
  );
  assert.ok(material.crlPem?.includes("X509 CRL"));
  await writeFile(inFolder("garbage-crl.pem"), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
  await assert.rejects(loadTlsFiles(files({ crl: inFolder("garbage-crl.pem") }), at(0)), {
    code: "ZG_TLS_MATERIAL",
    message: /garbage-crl\.pem: a revocation list in it cannot be read/,
  });
});

test("a missing file is named", async () => {
  await assert.rejects(loadTlsFiles(files({ ca: inFolder("none.pem") }), at(0)), {
    code: "ZG_FILE_UNREADABLE",
    message: /none\.pem cannot be read: ENOENT/,
  });
});

test("a key that others can read is a warning", async () => {
  await chmod(inFolder("client-1-key.pem"), 0o644);
  const { warnings } = await loadTlsFiles(files(), at(0));
  assert.match(warnings.join(), /client-1-key\.pem: others can read the private key \(mode 644\); chmod 600 it/);
});

test("a pair that changes one file after the other is taken when it is whole", async () => {
  const copy = async (from: string, to: string): Promise<void> =>
    await writeFile(inFolder(to), await readFile(inFolder(from)));
  await copy("client-1.pem", "pair.pem");
  await copy("client-2-key.pem", "pair-key.pem");
  const pair = files({ cert: inFolder("pair.pem"), key: inFolder("pair-key.pem") });
  const loading = loadChangedTlsFiles(pair, () => at(0));
  await assert.rejects(loading, { code: "ZG_TLS_MATERIAL" });
  let reads = 0;
  const clock = (): ReturnType<typeof at> => {
    // The second file comes between the first look and the second.
    if (reads++ === 1) copyFileSync(inFolder("client-1-key.pem"), inFolder("pair-key.pem"));
    return at(0);
  };
  assert.equal((await loadChangedTlsFiles(pair, clock)).leaf.subject, "CN=client-1");
});
