import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { initAuthority, openRootCa } from "../shared/pki/authority.ts";
import { DAY_MS } from "../shared/pki/constants.ts";
import { clientIdentity, normalSerial } from "../shared/pki/identity.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { issueLeaf } from "../shared/pki/issuance.ts";
import { pemBlocks, pemBytes } from "../shared/pki/pem.ts";
import { createRevocationList } from "../shared/pki/revocation-list.ts";
import { revoke } from "../shared/pki/revocation.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { Revocations } from "./revocations.ts";
import type { RevocableSession, RevocationMaterial } from "./revocations.ts";

const NOW = new Date();
let folder = "";
const read = async (name: string): Promise<string> => await readFile(join(folder, name), "utf8");
const lists = async (caFile = "ca.pem"): Promise<RevocationMaterial> => ({
  crlPem: await read("crl.pem"),
  caPem: await read(caFile),
});

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "zgate-revocations-"));
  await initAuthority({ folder, name: "test", keyType: "p256", now: NOW });
});
after(async () => await rm(folder, { recursive: true }));

async function session(name: string): Promise<RevocableSession> {
  const { certificatePath } = await issueLeaf({ folder, kind: "client", name, names: [], keyType: "p256", now: NOW });
  const chain = pemBlocks(name, await readFile(certificatePath, "utf8"), "CERTIFICATE").map(pemBytes);
  return { certificates: { identities: [clientIdentity(chain[0] ?? new Uint8Array())], chain } };
}

function leafOf({ certificates }: RevocableSession): Identity {
  const leaf = certificates.identities.at(-1);
  assert.ok(leaf);
  return leaf;
}

/** The session of a client that sent its leaf alone. */
function withoutCas({ certificates: { identities, chain } }: RevocableSession): RevocableSession {
  return { certificates: { identities, chain: chain.slice(0, 1) } };
}

/** The session as it is with the certificate of `next` in the place of its own. */
function renewed({ certificates: { identities, chain } }: RevocableSession, next: RevocableSession): RevocableSession {
  return { certificates: { identities: [...identities, leafOf(next)], chain } };
}

class Sessions {
  readonly open: RevocableSession[];
  readonly ended: unknown[][] = [];

  constructor(...open: RevocableSession[]) {
    this.open = open;
  }

  [Symbol.iterator](): Iterator<RevocableSession> {
    return this.open[Symbol.iterator]();
  }

  end(session: RevocableSession, ...why: unknown[]): void {
    this.open.splice(this.open.indexOf(session), 1);
    this.ended.push([leafOf(session).name, ...why]);
  }
}

test("a new list ends the sessions that it names, and no others", async () => {
  const [gone, kept] = [await session("gone"), await session("kept")];
  const sessions = new Sessions(gone, kept);
  const revocations = new Revocations("crl.pem", await lists());
  revocations.update("crl.pem", await lists(), sessions);
  assert.deepEqual(sessions.ended, []);
  await revoke({ folder, what: "gone", reason: "superseded", now: NOW });
  revocations.update("crl.pem", await lists(), sessions);
  const reason = `the certificate ${leafOf(gone).serial} was revoked`;
  assert.deepEqual(sessions.ended, [["gone", "revoked", CLOSE_CODE.REVOKED, reason]]);
  assert.equal(revocations.reasonAgainst(gone.certificates), reason);
  assert.equal(revocations.reasonAgainst(kept.certificates), undefined);
});

test("a renewed session ends with the certificate it has and with the one it had", async () => {
  const renewedOnce = async (name: string): Promise<RevocableSession> =>
    renewed(await session(`${name}-old`), await session(`${name}-new`));
  const sessions = new Sessions(await renewedOnce("first"), await renewedOnce("second"), await renewedOnce("third"));
  const [first, second] = sessions.open;
  assert.ok(first && second);
  for (const what of ["first-new", "second-old"]) await revoke({ folder, what, reason: "superseded", now: NOW });
  new Revocations("crl.pem", await lists()).update("crl.pem", await lists(), sessions);
  assert.deepEqual(
    sessions.ended.map(([name, , , reason]) => [name, reason]),
    [
      ["first-new", `the certificate ${leafOf(first).serial} was revoked`],
      [
        "second-new",
        `the certificate ${second.certificates.identities[0]?.serial} was revoked, which the one in use was renewed from`,
      ],
    ],
  );
});

test("a list that cannot be read changes nothing", async () => {
  const one = await session("one");
  await revoke({ folder, what: "one", reason: "superseded", now: NOW });
  const revocations = new Revocations("crl.pem", await lists());
  const broken = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
  const material = { ...(await lists()), crlPem: broken };
  assert.throws(() => revocations.update("crl.pem", material, new Sessions()), { code: "ZG_TLS_MATERIAL" });
  assert.notEqual(revocations.reasonAgainst(one.certificates), undefined);
});

test("without lists nobody is revoked", async () => {
  const one = await session("free");
  assert.equal(new Revocations(undefined, { caPem: await read("ca.pem") }).reasonAgainst(one.certificates), undefined);
});

/** What the root of an authority would say of its issuing CA. */
async function revokeIssuingCa(authority: string): Promise<{ serial: string; crlPem: string }> {
  const issuing = new X509Certificate(await readFile(join(authority, "issuing-ca.pem")));
  const serial = normalSerial(issuing.serialNumber);
  const root = await openRootCa(authority);
  assert.ok(root !== undefined);
  const entry = { type: "revoked", serial, reason: "keyCompromise", at: NOW.toISOString() } as const;
  return { serial, crlPem: await createRevocationList(root, [entry], NOW, DAY_MS) };
}

test("a revoked CA ends the sessions under it, also of clients that did not send it", async () => {
  const [whole, bare] = [await session("whole"), await session("bare")];
  const leafOnly = withoutCas(bare);
  // The issuing CA as a trust anchor, as a relay has it whose clients send their leaf alone.
  const revocations = new Revocations("crl.pem", await lists("issuing-ca.pem"));
  assert.equal(revocations.reasonAgainst(leafOnly.certificates), undefined);
  const { serial, crlPem } = await revokeIssuingCa(folder);
  const sessions = new Sessions(whole, leafOnly);
  revocations.update("crl.pem", { crlPem, caPem: await read("issuing-ca.pem") }, sessions);
  assert.deepEqual(
    sessions.ended.map(([name, , , reason]) => [name, reason]),
    ["whole", "bare"].map((name) => [name, `the certificate ${serial} of its CA was revoked`]),
  );
  // Under the root alone, a leaf by itself is under no CA that is known.
  assert.equal(
    new Revocations("crl.pem", { crlPem, caPem: await read("ca.pem") }).reasonAgainst(leafOnly.certificates),
    undefined,
  );
});

test("a CA of the same name with another key is another CA", async () => {
  const one = await session("rekeyed");
  const leaf = withoutCas(one);
  const other = await mkdtemp(join(tmpdir(), "zgate-revocations-"));
  await initAuthority({ folder: other, name: "test", keyType: "p256", now: NOW });
  const { crlPem } = await revokeIssuingCa(other);
  const both = (await read("issuing-ca.pem")) + (await readFile(join(other, "issuing-ca.pem"), "utf8"));
  assert.equal(new Revocations("crl.pem", { crlPem, caPem: both }).reasonAgainst(leaf.certificates), undefined);
  await rm(other, { recursive: true });
});
