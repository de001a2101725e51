import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { initAuthority } from "../shared/pki/authority.ts";
import { DAY_MS } from "../shared/pki/constants.ts";
import { clientIdentity } from "../shared/pki/identity.ts";
import { issueLeaf, renewLeaf } from "../shared/pki/issuance.ts";
import { pemBlocks, pemBytes } from "../shared/pki/pem.ts";
import { unixMs } from "../shared/units.ts";
import { MAX_SESSION_CERTIFICATES } from "./constants.ts";
import { SessionCertificates } from "./session-certificates.ts";

const NOW = unixMs(Math.floor(Date.now() / 1000) * 1000);
const later = (days: number): ReturnType<typeof unixMs> => unixMs(NOW + days * DAY_MS);
const folders: string[] = [];
let own = "";

async function authority(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "zgate-session-"));
  folders.push(folder);
  await initAuthority({ folder, name: "test", keyType: "p256", now: new Date(NOW) });
  return folder;
}
before(async () => (own = await authority()));
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

async function chainOf(path: string): Promise<[Uint8Array, ...Uint8Array[]]> {
  const [leaf, ...above] = pemBlocks(path, await readFile(path, "utf8"), "CERTIFICATE").map(pemBytes);
  assert.ok(leaf);
  return [leaf, ...above];
}

async function issued(folder: string, name: string): Promise<[Uint8Array, ...Uint8Array[]]> {
  const leaf = { folder, kind: "client", name, names: [], keyType: "p256", now: new Date(NOW) } as const;
  return await chainOf((await issueLeaf(leaf)).certificatePath);
}

/** Another certificate of that name, valid for a day from `now` on. */
async function another(name: string, now: number): Promise<Uint8Array> {
  const { certificatePath } = await renewLeaf({ folder: own, name, keyType: "p256", now: new Date(now) });
  return (await chainOf(certificatePath))[0];
}

async function session(name: string): Promise<SessionCertificates> {
  const chain = await issued(own, name);
  return new SessionCertificates(clientIdentity(chain[0]), chain);
}

test("a new certificate is the current one, the old one counts until it expires", async () => {
  const certificates = await session("a");
  const first = certificates.current;
  const second = await another("a", later(0.5));
  assert.ok(certificates.renew(second, later(0.5)));
  assert.deepEqual(certificates.current, clientIdentity(second));
  assert.deepEqual(certificates.identities, [first, clientIdentity(second)]);
  const third = await another("a", later(1.1));
  assert.ok(certificates.renew(third, later(1.1)));
  assert.deepEqual(certificates.identities, [clientIdentity(second), clientIdentity(third)]);
});

for (const { name, client, of } of [
  { name: "of another client", client: "b", of: async () => (await issued(own, "other"))[0] },
  { name: "of another CA of the same name", client: "c", of: async () => (await issued(await authority(), "c"))[0] },
]) {
  test(`a certificate ${name} changes nothing`, async () => {
    const certificates = await session(client);
    const { identities, current } = certificates;
    assert.equal(certificates.renew(await of(), NOW), false);
    assert.deepEqual([certificates.identities, certificates.current], [identities, current]);
  });
}

test("there is room for a few that are valid", async () => {
  const certificates = await session("d");
  for (let count = 1; count < MAX_SESSION_CERTIFICATES; count++) {
    assert.equal(certificates.isFull(NOW), false);
    assert.ok(certificates.renew(await another("d", NOW), NOW));
  }
  assert.equal(certificates.isFull(NOW), true);
  assert.equal(certificates.isFull(later(2)), false);
});
