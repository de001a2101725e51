import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import type { Field } from "../shared/http3/fields.ts";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import { TestAuthority } from "../shared/native/test-certificates.ts";
import { RENEWAL_PATH } from "../shared/pki/constants.ts";
import { CONNECT_IP_PATH } from "../shared/tunnel/request-path.ts";
import type { Client } from "./client-fixture.ts";
import { DRAIN_RETRY_AFTER_S, MAX_CLIENT_WAITING, POOL_RETRY_AFTER_S } from "./constants.ts";
import { RelayCore, until } from "./core-fixture.ts";
import type { CoreOptions } from "./core-fixture.ts";
import type { CounterName } from "./counters.ts";

const RULES = "rules: [{ id: r, type: ip_cidr, action: allow, destinations: [192.0.2.0/24] }]";
const POLICY = `clients: { a: { ${RULES} }, b: { ${RULES} }, off: { enabled: false, ${RULES} } }`;

let core: RelayCore;
afterEach(() => core.close());

async function opened(options: Partial<CoreOptions> = {}): Promise<RelayCore> {
  core = await RelayCore.open({ policy: POLICY, ...options });
  return core;
}

interface Refusal {
  readonly status: number;
  readonly counter: CounterName<"sessionsRefused">;
  /** The whole sentence, or what it begins with. */
  readonly reason: string | RegExp;
  readonly retryAfterS?: number;
}

/** The answer, its counter and its record say the same, and the connection is still there. */
async function assertRefused(
  client: Client,
  answer: Http3Stream,
  what: "session" | "lane",
  { status, counter, reason, retryAfterS }: Refusal,
): Promise<void> {
  assert.equal(answer.status, status);
  const said = answer.field("zgate-reason") ?? "";
  if (typeof reason === "string") assert.equal(said, reason);
  else assert.match(said, reason);
  assert.equal(answer.field("retry-after"), retryAfterS === undefined ? undefined : String(retryAfterS));
  assert.equal(core.count("sessionsRefused", counter), 1);
  assert.equal(core.counters.total("sessionsRefused"), 1);
  const records = await core.audited("refusal");
  assert.equal(records.length, 1);
  assert.deepEqual([records[0]?.what, records[0]?.code, records[0]?.remote], [what, status, "192.0.2.2:50000"]);
  if (typeof reason === "string") assert.equal(records[0]?.reason, reason);
  assert.equal(client.closed, undefined);
}

/** A connect-ip request as it is, with other fields or another path. */
const ask = (client: Client, fields: readonly Field[] = [], path = CONNECT_IP_PATH): Promise<Http3Stream> =>
  client.request("connect-ip", path, [["capsule-protocol", "?1"], ...fields]);

const malformed = (reason: string): Refusal => ({ status: 400, counter: "malformed", reason });
const forbidden = (counter: Refusal["counter"], reason: Refusal["reason"]): Refusal => ({
  status: 403,
  counter,
  reason,
});
const overLimit = (reason: string): Refusal => ({ status: 429, counter: "over-limit", reason });

const LIMITED = malformed("sessions are not limited by their path: the policy does that; use */*");

interface SessionCase {
  readonly name: string;
  readonly refusal: Refusal;
  /** `a` when not given. */
  readonly client?: string;
  readonly fields?: readonly Field[];
  readonly path?: string;
}

const SESSION_CASES: readonly SessionCase[] = [
  {
    name: "to a client that the policy does not know",
    client: "stranger",
    refusal: forbidden("unknown-client", "the policy does not know the client stranger"),
  },
  {
    name: "to a client that the policy has disabled",
    client: "off",
    refusal: forbidden("disabled-client", "the policy has the client off disabled"),
  },
  {
    name: "on another path",
    path: "/.well-known/masque/udp/*/*/",
    refusal: malformed(`the path is not ${CONNECT_IP_PATH} or a narrower scope of it`),
  },
  { name: "on a path that limits it", path: "/.well-known/masque/ip/192.0.2.0%2F24/*/", refusal: LIMITED },
  { name: "for one protocol", path: "/.well-known/masque/ip/*/17/", refusal: LIMITED },
  {
    name: "with no lanes",
    fields: [["zgate-lanes", "0"]],
    refusal: malformed("zgate-lanes is 0: expected 1 to 64"),
  },
  {
    name: "with lanes that are no number",
    fields: [["zgate-lanes", "many"]],
    refusal: malformed("zgate-lanes is a token: expected an integer"),
  },
  {
    name: "with a field that is there twice",
    fields: [
      ["zgate-offload", "gso"],
      ["zgate-offload", "gso"],
    ],
    refusal: malformed("zgate-offload is there more than once"),
  },
];

describe("a session is refused", () => {
  for (const { name, chain, reason } of [
    { name: "without a certificate", chain: [], reason: "there is no client certificate" },
    {
      name: "with one that is none",
      chain: [Uint8Array.of(0x30, 0x80)],
      reason: /^the client's certificate names no client: it cannot be parsed: /,
    },
  ]) {
    test(name, async () => {
      await opened();
      const client = await core.connect("a", { clientChainDer: chain });
      await assertRefused(client, await ask(client), "session", forbidden("bad-identity", reason));
      assert.equal((await core.audited("refusal"))[0]?.client, undefined);
    });
  }

  for (const { name, refusal, client: who = "a", fields, path } of SESSION_CASES) {
    test(name, async () => {
      await opened();
      const client = await core.connect(who);
      await assertRefused(client, await ask(client, fields, path), "session", refusal);
      assert.equal(core.sessions.size, 0);
      assert.equal((await core.audited("refusal"))[0]?.client, who);
    });
  }

  test("to a revoked certificate", async () => {
    const authority = await TestAuthority.root("another");
    const leaf = await authority.leaf("a");
    await opened({ crlPem: await authority.revocationList([leaf]) });
    const client = await core.connect("a", { clientChainDer: [new Uint8Array(leaf.certificate.rawData)] });
    const refusal = forbidden("revoked", /^the certificate [0-9a-f]+ was revoked$/);
    await assertRefused(client, await ask(client), "session", refusal);
  });

  test("while the relay goes down", async () => {
    await opened();
    core.acceptor.draining = true;
    const client = await core.connect("a");
    const [reason, retryAfterS] = ["the relay is going down", DRAIN_RETRY_AFTER_S];
    const refusal = { status: 503, counter: "draining", reason, retryAfterS } as const;
    await assertRefused(client, await ask(client), "session", refusal);
  });

  test("on a connection that has one", async () => {
    await opened();
    const client = await core.join("a");
    await assertRefused(client, await ask(client), "session", overLimit("this connection has a session already"));
    assert.equal(core.sessions.size, 1);
  });

  test("beyond those of the relay, but not to a client whose own makes room", async () => {
    await opened({ maxSessions: 1 });
    await core.join("a");
    const client = await core.connect("b");
    const reason = "the relay has its 1 sessions";
    const retryAfterS = POOL_RETRY_AFTER_S;
    await assertRefused(client, await ask(client), "session", {
      status: 429,
      counter: "over-limit",
      reason,
      retryAfterS,
    });
    await core.join("a");
    assert.equal(core.sessions.size, 1);
  });

  test("when no address is left", async () => {
    await opened({ pool4: "10.90.0.0/30" });
    await core.join("a");
    const client = await core.connect("b");
    const refusal = { status: 503, counter: "pool-empty", reason: /address/, retryAfterS: POOL_RETRY_AFTER_S } as const;
    await assertRefused(client, await ask(client), "session", refusal);
  });

  test("while an audit that shall fail closed cannot be written", async () => {
    await opened({ auditFailClosed: true });
    const client = await core.connect("a");
    core.auditSink.failing = true;
    // The first refusal is a record that cannot be written; how soon that is known is the writer's business.
    const refused = (): Promise<Http3Stream> => ask(client, [["zgate-lanes", "0"]]);
    let answer = await refused();
    assert.equal(answer.status, 400);
    for (let turn = 0; answer.status === 400 && turn < 100; turn++) answer = await refused();
    assert.equal(answer.status, 503);
    assert.equal(answer.field("zgate-reason"), "the relay cannot write its audit log");
    assert.equal(answer.field("retry-after"), String(POOL_RETRY_AFTER_S));
    assert.equal(core.count("sessionsRefused", "audit-fail-closed"), 1);
  });

  test("and the next one on the same connection is not, when the reason is gone", async () => {
    await opened({ policy: `clients: { b: { ${RULES} } }` });
    const client = await core.connect("a");
    assert.equal((await ask(client)).status, 403);
    await core.enforce(POLICY);
    await client.openSession({ lanes: 1, offload: "none" });
    assert.equal(core.sessions.size, 1);
  });
});

describe("a lane is refused", () => {
  const lane = (client: Client, path: string): Promise<Http3Stream> => client.request("zgate-lane", path);

  test("before its session", async () => {
    await opened();
    const client = await core.connect("a");
    const refusal = malformed("a lane needs a session: send connect-ip first");
    await assertRefused(client, await lane(client, "/lane/0"), "lane", refusal);
  });

  for (const path of ["/lane/2", "/lane/01", "/lane/", "/lane/-1", "/lane/64", CONNECT_IP_PATH]) {
    test(`on the path ${path}, where two were agreed`, async () => {
      await opened();
      const client = await core.join("a", { lanes: 2 });
      const refusal = malformed("2 lanes were agreed: the path is /lane/0 and so on");
      await assertRefused(client, await lane(client, path), "lane", refusal);
    });
  }

  test("when it is open already", async () => {
    await opened();
    const client = await core.join("a", { lanes: 2 });
    const refusal = { status: 409, counter: "lane-taken", reason: "lane 1 is open already" } as const;
    await assertRefused(client, await lane(client, "/lane/1"), "lane", refusal);
  });

  test("to a plain RFC 9484 session", async () => {
    await opened();
    const client = await core.connect("a");
    await client.openSession();
    const refusal = malformed("0 lanes were agreed: the path is /lane/0 and so on");
    await assertRefused(client, await lane(client, "/lane/0"), "lane", refusal);
  });
});

describe("what is no session and no lane", () => {
  const cases: { name: string; fields: Field[]; path: string; status: number }[] = [
    {
      name: "another protocol",
      fields: [
        [":method", "CONNECT"],
        [":protocol", "connect-udp"],
      ],
      path: "/.well-known/masque/udp/192.0.2.1/53/",
      status: 501,
    },
    { name: "a page", fields: [[":method", "GET"]], path: "/", status: 404 },
    { name: "a renewal with another method", fields: [[":method", "GET"]], path: RENEWAL_PATH, status: 404 },
  ];
  for (const { name, fields, path, status } of cases) {
    test(`${name}: ${status}`, async () => {
      await opened();
      const client = await core.connect("a");
      const rest: Field[] = [
        [":scheme", "https"],
        [":authority", "relay.example"],
        [":path", path],
      ];
      const answer = await client.http3.request([...fields, ...rest], { end: true });
      assert.equal(answer.status, status);
      assert.equal(core.counters.total("sessionsRefused"), 0);
      assert.equal(client.closed, undefined);
    });
  }
});

describe("connections without a session", () => {
  test(`are at most ${MAX_CLIENT_WAITING} of one client; those of others, and those that left, do not count`, async () => {
    await opened();
    const waiting: Client[] = [];
    for (let index = 0; index < MAX_CLIENT_WAITING; index++) waiting.push(await core.connect("a"));
    const refused = await core.connect("a");
    const closed = await until("the refusal", () => refused.closed);
    assert.deepEqual(
      [closed.code, closed.reason],
      [HTTP3_CODE.H3_EXCESSIVE_LOAD, "too many connections of this client have no session"],
    );
    assert.equal(core.count("sessionsRefused", "over-limit"), 1);
    await core.join("b");
    // One that opens its session, and one that goes, make room for one each.
    await waiting[0]?.openSession({ lanes: 1, offload: "none" });
    waiting[1]?.quic.close(0, "bye");
    await until("the end", () => waiting[1]?.closed);
    const [third, fourth, fifth] = [await core.connect("a"), await core.connect("a"), await core.connect("a")];
    await until("the refusal", () => fifth.closed);
    assert.deepEqual([third.closed, fourth.closed], [undefined, undefined]);
  });
});
