import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { pino } from "pino";
import { unixMs } from "../units.ts";
import { initAuthority } from "./authority.ts";
import { DAY_MS, MAX_RENEWAL_RETRY_MS, MIN_RENEWAL_RETRY_MS } from "./constants.ts";
import { renewalOverTls } from "./enrolment-client.ts";
import type { RenewalTransport } from "./enrolment-client.ts";
import { hostEnrolment } from "./enrolment-host.ts";
import type { EnrolmentHost } from "./enrolment-host.ts";
import { EnrolmentService } from "./enrolment-service.ts";
import { issueLeaf, renewLeaf } from "./issuance.ts";
import type { KeyType } from "./keys.ts";
import { CertificateRenewal, renewalTime, retryTime } from "./renewal.ts";
import { revoke } from "./revocation.ts";
import { loadTlsFiles } from "./tls-files.ts";
import type { TlsFiles } from "./tls-files.ts";

const HOUR_MS = 3_600_000;
const NOW = new Date();
const at = (hours: number): ReturnType<typeof unixMs> => unixMs(NOW.getTime() + hours * HOUR_MS);

let folder = "";
let host: EnrolmentHost;
const service = (): RenewalTransport => renewalOverTls({ host: "localhost", port: host.address.port }, "prefer-pq");

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "zgate-renewal-"));
  await initAuthority({ folder, name: "test", keyType: "p256", now: new Date(NOW.getTime() - 30 * DAY_MS) });
  await issueLeaf({ folder, kind: "relay", name: "relay", names: ["localhost"], keyType: "p256", now: NOW });
  const [cert, key] = [join(folder, "relay.pem"), join(folder, "relay-key.pem")];
  const log = pino({ level: "silent" });
  const service = await EnrolmentService.open(folder, undefined, () => undefined);
  const listen = { host: "127.0.0.1", port: 0 };
  host = await hostEnrolment({ service, folder, listen, cert, key, keyExchange: "prefer-pq", log });
});
after(async () => {
  await host.close();
  await rm(folder, { recursive: true });
});

/** A client's files, issued so many hours ago for a day. */
async function client(name: string, hoursAgo: number, keyType: KeyType = "p256"): Promise<TlsFiles> {
  const now = new Date(NOW.getTime() - hoursAgo * HOUR_MS);
  await issueLeaf({ folder, kind: "client", name, names: [], keyType, now });
  const file = (suffix: string): string => join(folder, `${name}${suffix}.pem`);
  return { cert: file(""), key: file("-key"), ca: join(folder, "ca.pem"), keyExchange: "prefer-pq" };
}

for (const keyType of ["p256", "ed25519"] as const) {
  test(`a ${keyType} certificate is renewed after two thirds of its life, once`, async () => {
    const files = await client(`old-${keyType}`, 20, keyType);
    const renewal = new CertificateRenewal(files, service());
    const outcome = await renewal.check(at(0));
    assert.equal(outcome?.what, "renewed", JSON.stringify(outcome));
    const { leaf, warnings } = await loadTlsFiles(files, at(0));
    assert.ok(Math.abs(leaf.notAfter - at(24)) < 60_000);
    assert.deepEqual(warnings, []);
    assert.equal((await stat(files.key)).mode & 0o777, 0o600);
    const certificate = new X509Certificate(await readFile(files.cert));
    assert.equal(certificate.publicKey.asymmetricKeyType, keyType === "p256" ? "ec" : "ed25519");
    assert.equal(await renewal.check(at(0)), undefined);
    assert.equal(await renewal.check(at(15)), undefined);
  });
}

test("a young certificate is left alone", async () => {
  assert.equal(await new CertificateRenewal(await client("young", 1), service()).check(at(0)), undefined);
});

test("what somebody else renewed is not renewed again", async () => {
  const files = await client("other", 0);
  const renewal = new CertificateRenewal(files, service());
  assert.equal(await renewal.check(at(0)), undefined);
  await renewLeaf({ folder, name: "other", keyType: "p256", now: new Date(NOW.getTime() + 16 * HOUR_MS) });
  const before = await readFile(files.cert, "utf8");
  assert.equal(await renewal.check(at(17)), undefined);
  assert.equal(await readFile(files.cert, "utf8"), before);
});

test("a refusal leaves the files as they are, and the next attempt waits", async () => {
  const files = await client("revoked", 20);
  await revoke({ folder, what: "revoked", reason: "superseded", now: NOW });
  const before = await readFile(files.cert, "utf8");
  const renewal = new CertificateRenewal(files, service());
  const outcome = await renewal.check(at(0));
  assert.ok(outcome?.what === "failed");
  assert.match(outcome.reason, /refused \(403\): the certificate is revoked/);
  assert.equal(await readFile(files.cert, "utf8"), before);
  assert.equal(await renewal.check(unixMs(outcome.retryAt - 1)), undefined);
  assert.equal((await renewal.check(outcome.retryAt))?.what, "failed");
});

test("files that cannot be used, or a service that is not there, are a failure and no exception", async () => {
  const files = await client("broken", 20);
  const nowhere = await new CertificateRenewal(
    files,
    renewalOverTls({ host: "127.0.0.1", port: 1 }, "prefer-pq"),
  ).check(at(0));
  assert.ok(nowhere?.what === "failed" && nowhere.reason.includes("ECONNREFUSED"));
  await writeFile(files.cert, "nothing");
  const outcome = await new CertificateRenewal(files, service()).check(at(0));
  assert.ok(outcome?.what === "failed" && outcome.reason.includes("no PEM block of a certificate"));
});

test("two checks at once renew once", async () => {
  const renewal = new CertificateRenewal(await client("twice", 20), service());
  const outcomes = await Promise.all([renewal.check(at(0)), renewal.check(at(0))]);
  assert.deepEqual(outcomes.map((outcome) => outcome?.what).sort(), ["renewed", undefined]);
});

test("the times of a renewal and of its repetition stay within their bounds", () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(fc.nat(1e12), fc.integer({ min: 1, max: 1e11 }), random, (from, life, chance) => {
      const due = renewalTime(unixMs(from), unixMs(from + life), chance);
      assert.ok(due >= from + life * 0.64 && due <= from + life * 0.7);
      const wait = retryTime(unixMs(from), unixMs(from + life), chance) - from;
      assert.ok(wait >= MIN_RENEWAL_RETRY_MS / 2 && wait <= MAX_RENEWAL_RETRY_MS * 1.5);
    }),
  );
});
