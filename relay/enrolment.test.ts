import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { readWholeBody } from "../shared/http3/whole-body.ts";
import { initAuthority } from "../shared/pki/authority.ts";
import { createRequest } from "../shared/pki/certificate-request.ts";
import { MAX_ANSWER_BYTES, RENEWAL_PATH, SESSION_SERIAL_FIELD } from "../shared/pki/constants.ts";
import { EnrolmentService } from "../shared/pki/enrolment-service.ts";
import { clientIdentity } from "../shared/pki/identity.ts";
import type { Identity } from "../shared/pki/identity.ts";
import { issueLeaf } from "../shared/pki/issuance.ts";
import { generateKey } from "../shared/pki/keys.ts";
import { pemBlocks, pemBytes } from "../shared/pki/pem.ts";
import { unixMs } from "../shared/units.ts";
import type { Client } from "./client-fixture.ts";
import { MAX_SESSION_CERTIFICATES } from "./constants.ts";
import { RelayCore, until } from "./core-fixture.ts";

let folder = "";
let core: RelayCore;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "zgate-enrolment-"));
  await initAuthority({ folder, name: "test", keyType: "p256", now: new Date() });
});
after(async () => await rm(folder, { recursive: true }));
afterEach(() => core.close());

/** A connection of the client `name` with a new certificate. */
async function connected(name: string, session: boolean): Promise<{ client: Client; identity: Identity }> {
  const enrolment = await EnrolmentService.open(folder, undefined, () => undefined);
  const rules = "rules: [{ id: r, type: ip_cidr, action: allow, destinations: [192.0.2.0/24] }]";
  core = await RelayCore.open({ policy: `clients: { ${name}: { ${rules} } }`, enrolment });
  const leaf = { folder, kind: "client", name, names: [], keyType: "p256", now: new Date() } as const;
  const { certificatePath } = await issueLeaf(leaf);
  const clientChainDer = chainOf(await readFile(certificatePath, "utf8"));
  const client = session ? await core.join(name, {}, { clientChainDer }) : await core.connect(name, { clientChainDer });
  return { client, identity: identityOf(clientChainDer) };
}

const chainOf = (pem: string): Uint8Array[] => pemBlocks("a chain", pem, "CERTIFICATE").map(pemBytes);
const identityOf = ([leaf]: readonly Uint8Array[]): Identity => clientIdentity(leaf ?? new Uint8Array());

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
  /** The certificate that the session goes on with. */
  readonly serial: string | undefined;
}

async function renewal(client: Client): Promise<Answer> {
  const request = await createRequest("renewal", await generateKey("p256"));
  const stream = await client.http3.request(
    [
      [":method", "POST"],
      [":scheme", "https"],
      [":authority", "relay.example:4433"],
      [":path", RENEWAL_PATH],
    ],
    { body: Buffer.from(JSON.stringify({ request })), end: true },
  );
  const text = Buffer.from((await readWholeBody(stream, MAX_ANSWER_BYTES)) ?? []).toString("utf8");
  const body = text === "" ? {} : (JSON.parse(text) as Answer["body"]);
  return { status: stream.status, body, serial: stream.field(SESSION_SERIAL_FIELD) };
}

describe("a renewal on a session's own connection", () => {
  test("gives the session the new certificate, and it lasts as long as that", async () => {
    const { client, identity: old } = await connected("kept", true);
    const { status, body, serial } = await renewal(client);
    assert.equal(status, 200);
    const fresh = identityOf(chainOf(body["chain"] ?? ""));
    assert.equal(serial, fresh.serial);
    const [session] = core.sessions;
    assert.ok(session);
    const { id, serial: shown, notAfter } = session.status();
    assert.deepEqual([shown, notAfter], [fresh.serial, new Date(fresh.notAfter).toISOString()]);
    const [record] = await core.audited("session-renewed");
    assert.deepEqual(
      [record?.session, record?.client, record?.serial, record?.fingerprint, record?.replaces],
      [id, "kept", fresh.serial, fresh.fingerprint256, old.serial],
    );
    core.sessions.endExpired(unixMs(fresh.notAfter - 1));
    assert.equal(core.sessions.size, 1);
    core.sessions.endExpired(fresh.notAfter);
    const closed = await until("the end", () => client.closed);
    assert.equal(
      closed.reason,
      `the certificate ${fresh.serial} of this session has expired on ${new Date(fresh.notAfter).toISOString()}`,
    );
    assert.equal(core.count("sessionsEnded", "expired"), 1);
  });

  test("may be followed by another, for the certificate that it gave", async () => {
    const { client } = await connected("again", true);
    const [first, second] = [await renewal(client), await renewal(client)];
    assert.deepEqual([first.status, second.status], [200, 200]);
    const records = await core.audited("session-renewed");
    assert.deepEqual(
      records.map(({ serial }) => serial),
      [first.serial, second.serial],
    );
    assert.equal(records[1]?.replaces, first.serial);
  });

  test("is refused when the session has too many certificates that are valid", async () => {
    const { client } = await connected("greedy", true);
    for (let count = 1; count < MAX_SESSION_CERTIFICATES; count++) assert.equal((await renewal(client)).status, 200);
    assert.equal((await renewal(client)).status, 429);
    assert.equal(core.sessions.size, 1);
  });
});

test("a renewal without a session gives a certificate and nothing else", async () => {
  const { client } = await connected("lonely", false);
  const { status, serial } = await renewal(client);
  assert.deepEqual([status, serial], [200, undefined]);
  assert.deepEqual(await core.audited("session-renewed"), []);
});
