import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { initAuthority } from "../shared/pki/authority.ts";
import { clientIdentity } from "../shared/pki/identity.ts";
import { issueLeaf } from "../shared/pki/issuance.ts";
import { pemBlocks, pemBytes } from "../shared/pki/pem.ts";
import { revoke } from "../shared/pki/revocation.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { Revocations } from "./revocations.ts";
import type { RevocableSession } from "./revocations.ts";

const NOW = new Date();
let folder = "";
const lists = async (): Promise<string> => await readFile(join(folder, "crl.pem"), "utf8");

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "zgate-revocations-"));
  await initAuthority({ folder, name: "test", keyType: "p256", now: NOW });
});
after(async () => await rm(folder, { recursive: true }));

async function session(name: string): Promise<RevocableSession> {
  const { certificatePath } = await issueLeaf({ folder, kind: "client", name, names: [], keyType: "p256", now: NOW });
  const chain = pemBlocks(name, await readFile(certificatePath, "utf8"), "CERTIFICATE").map(pemBytes);
  return { identity: clientIdentity(chain[0] ?? new Uint8Array()), chain };
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
    this.ended.push([session.identity.name, ...why]);
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
  const reason = `the certificate ${gone.identity.serial} was revoked`;
  assert.deepEqual(sessions.ended, [["gone", "revoked", CLOSE_CODE.REVOKED, reason]]);
  assert.equal(revocations.reasonAgainst(gone), reason);
  assert.equal(revocations.reasonAgainst(kept), undefined);
});

test("a list that cannot be read changes nothing", async () => {
  const one = await session("one");
  await revoke({ folder, what: "one", reason: "superseded", now: NOW });
  const revocations = new Revocations("crl.pem", await lists());
  const broken = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
  assert.throws(() => revocations.update("crl.pem", broken, new Sessions()), { code: "ZG_TLS_MATERIAL" });
  assert.notEqual(revocations.reasonAgainst(one), undefined);
});

test("without lists nobody is revoked", async () => {
  const one = await session("free");
  assert.equal(new Revocations(undefined, undefined).reasonAgainst(one), undefined);
});
