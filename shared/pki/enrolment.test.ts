/** The enrolment service over real TLS, its client, and what each refuses. */
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import type { KeyExchange, TlsMaterial } from "../native/quic.ts";
import { monotonicMs, unixMs } from "../units.ts";
import { initAuthority, readLedger } from "./authority.ts";
import { createRequest } from "./certificate-request.ts";
import { CLIENT_LIFETIME_MS, DAY_MS, MAX_CLIENT_CERTIFICATES, MAX_REQUEST_BYTES, SOURCE_BURST } from "./constants.ts";
import { enrol, renew, renewalOverTls } from "./enrolment-client.ts";
import type { Credentials, RenewalTransport } from "./enrolment-client.ts";
import { serveEnrolment } from "./enrolment-server.ts";
import type { EnrolmentServer } from "./enrolment-server.ts";
import { EnrolmentService } from "./enrolment-service.ts";
import type { EnrolmentEvent, EnrolmentRequest } from "./enrolment-service.ts";
import type { EnrolmentToken } from "./enrolment-token.ts";
import { clientIdentity, normalSerial } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { issueLeaf } from "./issuance.ts";
import { generateKey } from "./keys.ts";
import { revoke } from "./revocation.ts";
import { loadTlsFiles } from "./tls-files.ts";
import { createToken, removeExpiredTokens } from "./token-store.ts";

const NOW = new Date();
const UPTIME = monotonicMs(0);

interface Fixture {
  readonly folder: string;
  readonly rootFingerprint256: string;
}

async function authority(): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), "zgate-enrol-"));
  await initAuthority({ folder, name: "test", keyType: "p256", now: NOW });
  const root = new X509Certificate(await readFile(join(folder, "ca.pem")));
  return { folder, rootFingerprint256: createHash("sha256").update(root.raw).digest("hex") };
}

describe("over TLS", () => {
  let fixture: Fixture;
  let server: EnrolmentServer;
  let tls: TlsMaterial;
  const events: EnrolmentEvent[] = [];

  async function token(client: string, changes: Partial<EnrolmentToken> = {}): Promise<EnrolmentToken> {
    const { folder, rootFingerprint256 } = fixture;
    const secret = await createToken(folder, {
      client,
      notAfter: new Date(NOW.getTime() + 60_000),
      lifetimeMs: CLIENT_LIFETIME_MS,
    });
    const at = { host: "localhost", port: server.address.port };
    return { at, rootFingerprint256, name: client, ...secret, ...changes };
  }

  const transport = (keyExchange: KeyExchange = "prefer-pq"): RenewalTransport =>
    renewalOverTls({ host: "localhost", port: server.address.port }, keyExchange);
  const leafOf = (credentials: Credentials): X509Certificate => new X509Certificate(credentials.certificatePem);

  before(async () => {
    fixture = await authority();
    const { folder } = fixture;
    await issueLeaf({ folder, kind: "relay", name: "relay", names: ["localhost"], keyType: "p256", now: NOW });
    const files = { cert: join(folder, "relay.pem"), key: join(folder, "relay-key.pem"), ca: join(folder, "ca.pem") };
    ({ material: tls } = await loadTlsFiles({ ...files, keyExchange: "prefer-pq" }, unixMs(NOW.getTime())));
    const service = await EnrolmentService.open(folder, undefined, (event) => events.push(event));
    server = await serveEnrolment({ tls, listen: { host: "127.0.0.1", port: 0 }, service });
  });
  after(async () => {
    await server.close();
    await rm(fixture.folder, { recursive: true });
  });

  for (const keyType of ["p256", "ed25519"] as const) {
    test(`a token makes a certificate of a ${keyType} key, once`, async () => {
      const one = await token(`laptop-${keyType}`);
      const credentials = await enrol(one, keyType);
      assert.equal(clientIdentity(leafOf(credentials).raw).name, `laptop-${keyType}`);
      assert.equal(credentials.relayPort, undefined);
      await assert.rejects(enrol(one, keyType), {
        code: "ZG_SESSION_REFUSED",
        message: /refused \(403\): the token is unknown, used, or has expired/,
      });
    });
  }

  for (const [port, told] of [
    [4433, 4433],
    [0, undefined],
  ] as const) {
    test(`a relay that serves enrolment and listens on port ${port} tells the new machine ${told ?? "nothing"}`, async (t) => {
      const relay = { objection: () => undefined, port };
      const service = await EnrolmentService.open(fixture.folder, undefined, () => undefined, relay);
      const served = await serveEnrolment({ tls, listen: { host: "127.0.0.1", port: 0 }, service });
      t.after(() => served.close());
      const at = { host: "localhost", port: served.address.port };
      assert.equal((await enrol({ ...(await token(`beside-${port}`)), at }, "p256")).relayPort, told);
    });
  }

  test("of two at once, one gets the certificate", async () => {
    const one = await token("racer");
    const outcomes = await Promise.allSettled([enrol(one, "p256"), enrol(one, "p256"), enrol(one, "p256")]);
    assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
  });

  test("renewal keeps the name and the lifetime, and the chain still holds", async () => {
    const old = await enrol(await token("renewer"), "p256");
    const fresh = await renew(transport(), old, "ed25519");
    assert.equal(clientIdentity(leafOf(fresh).raw).name, "renewer");
    assert.notEqual(leafOf(fresh).serialNumber, leafOf(old).serialNumber);
    const lifetime = (one: Credentials): number =>
      leafOf(one).validToDate.getTime() - leafOf(one).validFromDate.getTime();
    assert.equal(lifetime(fresh), lifetime(old));
    await renew(transport(), fresh, "p256");
  });

  for (const { reason, revoked } of [
    { reason: "keyCompromise", revoked: [true, true, true] },
    { reason: "superseded", revoked: [true, false, false] },
  ] as const) {
    test(`a revocation for ${reason} takes ${revoked.filter(Boolean).length} of a certificate and its two renewals`, async () => {
      const first = await enrol(await token(`lineage-${reason}`), "p256");
      const second = await renew(transport(), first, "p256");
      const third = await renew(transport(), second, "p256");
      const what = clientIdentity(leafOf(first).raw).serial;
      await revoke({ folder: fixture.folder, what, reason, now: NOW });
      const { revoked: listed } = await readLedger(fixture.folder);
      const isListed = (one: Credentials): boolean => listed.has(clientIdentity(leafOf(one).raw).serial);
      assert.deepEqual([first, second, third].map(isListed), revoked);
    });
  }

  test("a revoked certificate is not renewed", async () => {
    const old = await enrol(await token("leaver"), "p256");
    await revoke({ folder: fixture.folder, what: "leaver", reason: "superseded", now: NOW });
    await assert.rejects(renew(transport(), old, "p256"), {
      message: /refused \(403\): the certificate is revoked/,
    });
  });

  test("a certificate of another authority renews nothing", async () => {
    const other = await authority();
    try {
      const { folder } = other;
      const issued = await issueLeaf({
        folder,
        kind: "client",
        name: "stranger",
        names: [],
        keyType: "p256",
        now: NOW,
      });
      const credentials = {
        certificatePem: await readFile(issued.certificatePath, "utf8"),
        privateKeyPem: await readFile(issued.keyPath, "utf8"),
        caPem: await readFile(join(fixture.folder, "ca.pem"), "utf8"),
      };
      await assert.rejects(renew(transport(), credentials, "p256"), {
        message: /refused \(401\)/,
      });
    } finally {
      await rm(other.folder, { recursive: true });
    }
  });

  test("a service of another root is not spoken to, and the token stays good", async () => {
    const one = await token("careful");
    await assert.rejects(enrol({ ...one, rootFingerprint256: "0".repeat(64) }, "p256"), {
      code: "ZG_TLS_HANDSHAKE",
      message: /another root certificate than the token names/,
    });
    await enrol(one, "p256");
  });

  test("a service whose certificate has another name is not spoken to, and the token stays good", async () => {
    const one = await token("careful-too");
    await assert.rejects(enrol({ ...one, at: { host: "127.0.0.1", port: server.address.port } }, "p256"), {
      code: "ZG_TLS_HANDSHAKE",
    });
    await enrol(one, "p256");
  });

  test("nobody there", async () => {
    const one = await token("lonely", { at: { host: "127.0.0.1", port: 1 } });
    await assert.rejects(enrol(one, "p256"), { code: "ZG_CONNECT_FAILED", message: /127\.0\.0\.1:1: .*ECONNREFUSED/ });
  });

  const GROUPS: readonly [server: KeyExchange, client: string, group: string | undefined][] = [
    ["prefer-pq", "X25519MLKEM768:X25519", "X25519MLKEM768"],
    // The server's order counts, at the price of a HelloRetryRequest.
    ["prefer-pq", "X25519:X25519MLKEM768", "X25519MLKEM768"],
    ["prefer-pq", "X25519", "X25519"],
    ["require-pq", "X25519:X25519MLKEM768", "X25519MLKEM768"],
    ["require-pq", "X25519", undefined],
    ["classical", "X25519MLKEM768:X25519", "X25519"],
  ];
  for (const [keyExchange, ecdhCurve, group] of GROUPS) {
    test(`${keyExchange}: of ${ecdhCurve} it is ${group ?? "none"}`, async () => {
      server.setTls({ ...tls, keyExchange });
      const socket = connect({ host: "127.0.0.1", port: server.address.port, rejectUnauthorized: false, ecdhCurve });
      const seen = await new Promise<unknown>((resolve) => {
        socket.on("error", () => resolve(undefined));
        socket.on("secureConnect", () => resolve(Reflect.get(socket.getEphemeralKeyInfo() ?? {}, "name")));
      });
      socket.destroy();
      server.setTls(tls);
      assert.equal(seen, group);
    });
  }

  test("TLS 1.2 is refused", async () => {
    const socket = connect({
      host: "127.0.0.1",
      port: server.address.port,
      maxVersion: "TLSv1.2",
      rejectUnauthorized: false,
    });
    const failure = await new Promise<string>((resolve) => {
      socket.on("error", (error) => resolve(error.message));
      socket.on("secureConnect", () => resolve("connected"));
    });
    socket.destroy();
    assert.match(failure, /protocol version/);
  });

  test("a body above the limit is refused", async () => {
    const { port } = server.address;
    const status = await new Promise<unknown>((resolve) => {
      const request = httpsRequest({
        host: "127.0.0.1",
        port,
        path: "/v1/enroll",
        method: "POST",
        rejectUnauthorized: false,
      });
      request.on("response", (response) => resolve(response.resume().statusCode));
      // The server may close before it has read all, and then its answer may be lost.
      request.on("error", () => resolve(413));
      request.end(Buffer.alloc(MAX_REQUEST_BYTES + 1, " "));
    });
    assert.equal(status, 413);
  });

  test("no event holds a secret", async () => {
    const one = await token("quiet");
    await enrol(one, "p256");
    assert.ok(events.length > 0 && !JSON.stringify(events).includes(one.secret));
    assert.deepEqual(
      await readdir(join(fixture.folder, "tokens")).then((names) => names.includes(`${one.id}.json`)),
      false,
    );
  });
});

describe("the service", () => {
  let fixture: Fixture;
  let request = "";
  let peer: Identity;

  before(async () => {
    fixture = await authority();
    const { folder } = fixture;
    request = await createRequest("x", await generateKey("p256"));
    const { certificate } = await issueLeaf({
      folder,
      kind: "client",
      name: "peer",
      names: [],
      keyType: "p256",
      now: NOW,
    });
    peer = clientIdentity(new Uint8Array(certificate.rawData));
  });
  after(async () => await rm(fixture.folder, { recursive: true }));

  async function answer(changes: Partial<EnrolmentRequest>, now = NOW): Promise<[status: number, body: object]> {
    const service = await EnrolmentService.open(fixture.folder, undefined, () => undefined);
    const whole = { method: "POST", path: "/v1/enroll", body: "", source: "192.0.2.1", peer: undefined, ...changes };
    const { status, body } = await service.handle(whole, now, UPTIME);
    return [status, body];
  }

  const json = (body: object): string => JSON.stringify(body);
  const REFUSED: readonly [
    what: string,
    changes: () => Partial<EnrolmentRequest>,
    status: number,
    error: string | RegExp,
  ][] = [
    ["another path", () => ({ path: "/v1/other" }), 404, "there is nothing here"],
    ["another method", () => ({ method: "PUT" }), 404, "there is nothing here"],
    ["no body", () => ({}), 400, "the body is not that of an enrolment"],
    ["no JSON", () => ({ body: "{" }), 400, "the body is not that of an enrolment"],
    [
      "a field more",
      () => ({ body: json({ id: "a", secret: "b", request, more: 1 }) }),
      400,
      "the body is not that of an enrolment",
    ],
    [
      "an unknown token",
      () => ({ body: json({ id: "a", secret: "b", request }) }),
      403,
      "the token is unknown, used, or has expired",
    ],
    [
      "a token that is a path",
      () => ({ body: json({ id: "../ledger", secret: "b", request }) }),
      403,
      "the token is unknown, used, or has expired",
    ],
    [
      "no request",
      () => ({ body: json({ id: "a", secret: "b", request: "x" }) }),
      400,
      /^the certificate request cannot be used: /,
    ],
    [
      "renewal without a certificate",
      () => ({ path: "/v1/renew", body: json({ request }) }),
      401,
      "renewal needs the certificate that is to be renewed",
    ],
    ["renewal without a body", () => ({ path: "/v1/renew", peer }), 400, "the body is not that of a renewal"],
    [
      "renewal of an unknown serial",
      () => ({ path: "/v1/renew", peer: { ...peer, serial: "1" }, body: json({ request }) }),
      403,
      "the certificate is not one that this authority issued to a client",
    ],
    [
      "renewal under another name",
      () => ({ path: "/v1/renew", peer: { ...peer, name: "root" }, body: json({ request }) }),
      403,
      "the certificate is not one that this authority issued to a client",
    ],
  ];
  for (const [what, changes, status, error] of REFUSED) {
    test(`refused: ${what}`, async () => {
      const [given, body] = await answer(changes());
      assert.equal(given, status);
      const said = "error" in body ? String(body.error) : "";
      if (typeof error === "string") assert.equal(said, error);
      else assert.match(said, error);
    });
  }

  test("a request whose signature is not its key's costs no token", async () => {
    const { folder } = fixture;
    const secret = await createToken(folder, {
      client: "c",
      notAfter: new Date(NOW.getTime() + 1000),
      lifetimeMs: DAY_MS,
    });
    const der = Buffer.from(request.replaceAll(/-----[^-]+-----|\n/g, ""), "base64");
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    assert.equal((await answer({ body: json({ ...secret, request: forged }) }))[0], 400);
    assert.equal((await answer({ body: json({ ...secret, secret: "wrong", request }) }))[0], 403);
    assert.equal((await answer({ body: json({ ...secret, request }) }))[0], 200);
  });

  test("an expired token is refused and cleared away", async () => {
    const { folder } = fixture;
    const secret = await createToken(folder, { client: "c", notAfter: NOW, lifetimeMs: DAY_MS });
    assert.equal((await answer({ body: json({ ...secret, request }) }))[0], 403);
    assert.equal(await removeExpiredTokens(folder, NOW), 1);
    assert.equal(await removeExpiredTokens(folder, NOW), 0);
  });

  test("every certificate is in the ledger", async () => {
    const { folder } = fixture;
    const secret = await createToken(folder, {
      client: "c",
      notAfter: new Date(NOW.getTime() + 1000),
      lifetimeMs: DAY_MS,
    });
    const [, body] = await answer({ body: json({ ...secret, request }) });
    assert.ok("chain" in body);
    const serial = normalSerial(new X509Certificate(String(body.chain)).serialNumber);
    assert.equal((await readLedger(folder)).issued.get(serial)?.name, "c");
  });

  test("a client with too many certificates that are valid gets no more, until some are not", async () => {
    const { folder } = fixture;
    const leaf = { folder, kind: "client", name: "collector", names: [], keyType: "p256", now: NOW } as const;
    const { certificate } = await issueLeaf(leaf);
    const collector = clientIdentity(new Uint8Array(certificate.rawData));
    const ask = { path: "/v1/renew", peer: collector, body: json({ request }) };
    for (let count = 1; count < MAX_CLIENT_CERTIFICATES; count++) assert.equal((await answer(ask))[0], 200);
    assert.deepEqual(await answer(ask), [429, { error: "the client has 64 certificates that are valid" }]);
    const renewals = [...(await readLedger(folder)).issued.values()].filter((entry) => entry.renews !== undefined);
    assert.equal(renewals.length, MAX_CLIENT_CERTIFICATES - 1);
    await revoke({ folder, what: renewals[0]?.serial ?? "", reason: "superseded", now: NOW });
    assert.equal((await answer(ask))[0], 200);
  });

  test("a client that is objected to is not renewed, others are", async () => {
    const objection = (client: string): string | undefined => (client === "peer" ? "peer is on leave" : undefined);
    const service = await EnrolmentService.open(fixture.folder, undefined, () => undefined, { objection, port: 4433 });
    const { folder } = fixture;
    const leaf = { folder, kind: "client", name: "colleague", names: [], keyType: "p256", now: NOW } as const;
    const { certificate } = await issueLeaf(leaf);
    const colleague = clientIdentity(new Uint8Array(certificate.rawData));
    const statuses = [];
    for (const one of [peer, colleague]) {
      const ask = { method: "POST", path: "/v1/renew", body: json({ request }), source: "192.0.2.1", peer: one };
      statuses.push((await service.handle(ask, NOW, UPTIME)).status);
    }
    assert.deepEqual(statuses, [403, 200]);
  });

  test("an expired certificate is not renewed", async () => {
    const later = new Date(peer.notAfter);
    const refused = await answer({ path: "/v1/renew", peer, body: json({ request }) }, later);
    assert.deepEqual(refused, [403, { error: "the certificate is expired" }]);
  });

  test("a source that asks too often waits, another does not", async () => {
    const service = await EnrolmentService.open(fixture.folder, undefined, () => undefined);
    const ask = async (source: string, minutes: number): Promise<number> => {
      const one = { method: "GET", path: "/v1/root", body: "", source, peer: undefined };
      return (await service.handle(one, NOW, monotonicMs(minutes * 60_000))).status;
    };
    for (let count = 0; count < SOURCE_BURST; count++) assert.equal(await ask(`192.0.2.${count}`, 0), 200);
    assert.equal(await ask("192.0.2.200", 0), 429);
    assert.equal(await ask("::ffff:192.0.2.9", 0), 429);
    assert.equal(await ask("198.51.100.1", 0), 200);
    assert.equal(await ask("192.0.2.200", 1), 200);
  });
});
