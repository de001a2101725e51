import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { HTTP3_CODE } from "../shared/http3/spec.ts";
import { formatPrefix } from "../shared/packet/address.ts";
import { rangePrefixes } from "../shared/packet/address-range.ts";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { decodeAddressAssign, encodeAddressRequest } from "../shared/tunnel/address-capsule.ts";
import type { AddressEntry } from "../shared/tunnel/address-capsule.ts";
import { encodeCapsule } from "../shared/tunnel/capsule.ts";
import {
  CAPSULE_ADDRESS_ASSIGN,
  CAPSULE_ADDRESS_REQUEST,
  CAPSULE_DATAGRAM,
  CAPSULE_ROUTE_ADVERTISEMENT,
  CLOSE_CODE,
} from "../shared/tunnel/constants.ts";
import { decodeRouteAdvertisement } from "../shared/tunnel/route-capsule.ts";
import { PacketView } from "../shared/packet/view.ts";
import { unixMs } from "../shared/units.ts";
import type { Client } from "./client-fixture.ts";
import { CONTROL_MESSAGES_BURST, FLOWS_JUDGED_A_TURN } from "./constants.ts";
import { FIRST, RelayCore, SECOND, until } from "./core-fixture.ts";
import type { CoreOptions } from "./core-fixture.ts";
import { isAllowed } from "./flow-verdict.ts";
import type { EndReason } from "./session.ts";

const rule = (...destinations: readonly string[]): string =>
  `rules: [{ id: r, type: ip_cidr, action: allow, destinations: [${destinations.map((d) => `'${d}'`).join(", ")}] }]`;
const policyOf = (...destinations: readonly string[]): string =>
  `clients: { a: { ${rule(...destinations)} }, b: { ${rule(...destinations)} } }`;

function viewOf(packet: Uint8Array): PacketView {
  const view = new PacketView();
  assert.ok(view.parse(packet, 0, packet.length));
  return view;
}

let core: RelayCore;
afterEach(() => core.close());

async function opened(options: Partial<CoreOptions> = {}): Promise<RelayCore> {
  core = await RelayCore.open({ policy: policyOf("192.0.2.0/24"), ...options });
  return core;
}

/** What the ADDRESS_ASSIGN capsules said, each as `request id:prefix`. */
const assignments = (client: Client): string[][] =>
  client.capsules
    .filter(({ type }) => type === CAPSULE_ADDRESS_ASSIGN)
    .map(({ value }) =>
      decodeAddressAssign(value).map(({ requestId, prefix }) => `${requestId}:${formatPrefix(prefix)}`),
    );
/** What the ROUTE_ADVERTISEMENT capsules said. */
const advertised = (client: Client): string[][] =>
  client.capsules
    .filter(({ type }) => type === CAPSULE_ROUTE_ADVERTISEMENT)
    .map(({ value }) => decodeRouteAdvertisement(value).flatMap(rangePrefixes).map(formatPrefix));
const addressesOf = (client: Client): Promise<string[]> => until("the addresses", () => assignments(client)[0]);

/** What the audit and the counters say of the one session that ended. */
async function assertEnd(reason: EndReason, detail?: string): Promise<void> {
  assert.equal(core.count("sessionsEnded", reason), 1);
  assert.equal(core.counters.total("sessionsEnded"), 1);
  const [record] = await core.audited("session-down");
  assert.equal(record?.reason, reason);
  if (detail !== undefined) assert.equal(record?.detail, detail);
}

describe("a session that opens", () => {
  test("is told its addresses, then its routes, and stands in the audit and the table", async () => {
    await opened();
    const client = await core.join("a");
    assert.deepEqual(await addressesOf(client), [`0:${FIRST.ipv4}/32`, `0:${FIRST.ipv6}/128`]);
    await until("the routes", () => advertised(client).length > 0);
    assert.deepEqual(advertised(client), [["192.0.2.0/24"]]);
    const [session] = core.sessions;
    assert.ok(session);
    assert.equal(core.sessions.byId(session.id), session);
    assert.equal(core.sessions.at(session.lease.slot), session);
    const [up] = await core.audited("session-up");
    assert.deepEqual(
      [up?.session, up?.client, up?.ipv4, up?.ipv6, up?.protocol],
      [session.id, "a", FIRST.ipv4, FIRST.ipv6, "zgate"],
    );
  });

  test("has another address than its neighbour, and the same one again", async () => {
    await opened();
    const a = await core.join("a");
    const b = await core.join("b");
    assert.deepEqual((await addressesOf(b))[0], `0:${SECOND.ipv4}/32`);
    a.quic.close(0, "bye");
    await until("the end", () => core.sessions.size === 1);
    assert.deepEqual((await addressesOf(await core.join("a")))[0], `0:${FIRST.ipv4}/32`);
  });
});

describe("a newer session of the same client", () => {
  test("replaces the older one at once, and gets its addresses", async () => {
    await opened();
    const old = await core.join("a");
    const young = await core.join("a");
    const closed = await until("the end", () => old.closed);
    assert.deepEqual(closed, {
      source: "peer-application",
      code: CLOSE_CODE.REPLACED,
      reason: "the same client opened a newer session",
    });
    assert.deepEqual(await addressesOf(young), await addressesOf(old));
    assert.equal(core.sessions.size, 1);
    await assertEnd("replaced");
  });

  for (const limit of [2, 3, 5]) {
    test(`with room for ${limit}: all of them live, and one more replaces the oldest`, async () => {
      await opened({ policy: `clients: { a: { max_sessions: ${limit}, ${rule("192.0.2.0/24")} } }` });
      const clients: Client[] = [];
      for (let index = 0; index < limit; index++) {
        clients.push(await core.join("a"));
        assert.equal(core.sessions.size, index + 1);
      }
      await core.join("a");
      await until("the oldest one's end", () => clients[0]?.closed);
      assert.equal(core.sessions.size, limit);
      assert.equal(core.count("sessionsEnded", "replaced"), 1);
      assert.ok(clients.slice(1).every(({ closed }) => closed === undefined));
    });
  }
});

describe("the policy changes", () => {
  test("routes are advertised again where they differ, and only there", async () => {
    await opened({ policy: `clients: { a: { ${rule("192.0.2.0/24")} }, b: { ${rule("198.51.100.0/24")} } }` });
    const a = await core.join("a");
    const b = await core.join("b");
    await core.enforce(`clients: { a: { ${rule("192.0.2.0/25")} }, b: { ${rule("198.51.100.0/24")} } }`);
    await core.enforce(
      `clients: { a: { ${rule("192.0.2.0/25", "192.0.2.128/25")} }, b: { ${rule("198.51.100.0/24")} } }`,
    );
    await until("the routes", () => advertised(a).length === 3);
    assert.deepEqual(advertised(a), [["192.0.2.0/24"], ["192.0.2.0/25"], ["192.0.2.0/24"]]);
    assert.deepEqual(advertised(b), [["198.51.100.0/24"]]);
  });

  for (const { name, policy, says } of [
    {
      name: "does not name the client any more",
      policy: `clients: { b: { ${rule("192.0.2.0/24")} } }`,
      says: "the policy does not know this client any more",
    },
    {
      name: "has it disabled",
      policy: `clients: { a: { enabled: false, ${rule("192.0.2.0/24")} }, b: { ${rule("192.0.2.0/24")} } }`,
      says: "the policy has this client disabled",
    },
  ]) {
    test(`and ${name}: its session ends, the others go on`, async () => {
      await opened();
      const client = await core.join("a");
      const neighbour = await core.join("b");
      await core.enforce(policy);
      const closed = await until("the end", () => client.closed);
      assert.deepEqual([closed.code, closed.reason], [CLOSE_CODE.FORBIDDEN, says]);
      assert.equal(neighbour.closed, undefined);
      await assertEnd("policy", says);
    });
  }

  test("flows in progress are judged again: what is denied now is cut, counted and written down", async () => {
    await opened();
    const client = await core.join("a");
    const packet = (host: string): Uint8Array => ipv4({ src: FIRST.ipv4, dst: host, payload: udp(5000, 53) });
    client.send(packet("192.0.2.1"), packet("192.0.2.200"));
    await until("the packets", () => core.tun.written.length === 2);
    await core.enforce(policyOf("192.0.2.0/25"));
    client.send(packet("192.0.2.200"), packet("192.0.2.1"));
    await until("the packet that is still allowed", () => core.tun.written.length === 3);
    assert.deepEqual(core.tun.written[2], packet("192.0.2.1"));
    assert.equal(core.count("flows", "cut"), 1);
    const [flow, ...more] = await core.audited("flow");
    assert.deepEqual([flow?.dst, flow?.action, flow?.generation, more.length], ["192.0.2.200", "deny", 2, 0]);
    await core.enforce(policyOf("192.0.2.0/24"));
    client.send(packet("192.0.2.200"));
    await until("the flow that is allowed again", () => core.tun.written.length === 4);
    assert.equal(core.count("flows", "allowed"), 2);
  });

  test("many flows are judged in turns, but each before its next packet", async () => {
    await opened();
    const client = await core.join("a");
    const packet = (host: string, port: number): Uint8Array =>
      ipv4({ src: FIRST.ipv4, dst: host, payload: udp(port, 53) });
    const many = 3 * FLOWS_JUDGED_A_TURN;
    for (let port = 1; port <= many; port++) client.send(packet("192.0.2.200", port));
    await until("the packets", () => core.tun.written.length === many);
    const [session] = core.sessions;
    assert.ok(session);
    const last = session.flows.find(viewOf(packet("192.0.2.200", many)));
    const cut = (): number => core.count("flows", "cut");
    const seen: number[] = [];
    core.onSwap = () => {
      seen.push(cut());
      assert.equal(isAllowed(session.verdict(last)), false);
      seen.push(cut());
    };
    await core.enforce(policyOf("192.0.2.0/25"));
    assert.deepEqual(seen, [FLOWS_JUDGED_A_TURN, FLOWS_JUDGED_A_TURN + 1]);
    await until("the rest", () => cut() === many);
  });

  test("a fault of ours in one session ends that one, and the policy holds for the others", async () => {
    await opened();
    const client = await core.join("a");
    const neighbour = await core.join("b");
    const [session] = core.sessions;
    assert.ok(session);
    session.rate.follow = () => {
      throw new TypeError("a fault");
    };
    await core.enforce(policyOf("192.0.2.0/25"));
    assert.equal((await until("the end", () => client.closed)).code, HTTP3_CODE.H3_INTERNAL_ERROR);
    await until("the neighbour's routes", () => advertised(neighbour).length === 2);
    await assertEnd("internal-error", "the relay failed");
  });
});

describe("capsules of the client", () => {
  const request = (requestId: number, version: 4 | 6): AddressEntry => ({
    requestId,
    prefix: { version, words: [0, 0, 0, 0], length: version === 4 ? 32 : 128 },
  });
  const [ipv4Lease, ipv6Lease] = [`${FIRST.ipv4}/32`, `${FIRST.ipv6}/128`];
  for (const { name, entries, answer } of [
    { name: "one address", entries: [request(7, 4)], answer: [`7:${ipv4Lease}`, `0:${ipv6Lease}`] },
    { name: "both", entries: [request(8, 6), request(7, 4)], answer: [`7:${ipv4Lease}`, `8:${ipv6Lease}`] },
    {
      name: "more than there are",
      entries: [request(1, 4), request(2, 4), request(3, 6), request(4, 6)],
      answer: [`1:${ipv4Lease}`, `3:${ipv6Lease}`, "2:0.0.0.0/32", "4:::/128"],
    },
  ]) {
    test(`ADDRESS_REQUEST for ${name}: each request is answered`, async () => {
      await opened();
      const client = await core.join("a");
      client.sendCapsule(encodeAddressRequest(entries));
      assert.deepEqual(await until("the answer", () => assignments(client)[1]), answer);
    });
  }

  for (const { name, capsule, says } of [
    {
      name: "an ADDRESS_REQUEST for nothing",
      capsule: encodeCapsule(CAPSULE_ADDRESS_REQUEST, new Uint8Array(0)),
      says: /asks for no address/,
    },
    {
      name: "an ADDRESS_REQUEST that is cut off",
      capsule: encodeCapsule(CAPSULE_ADDRESS_REQUEST, Uint8Array.of(1, 4, 10)),
      says: /ADDRESS_REQUEST/,
    },
    {
      name: "a DATAGRAM beside lanes",
      capsule: encodeCapsule(CAPSULE_DATAGRAM, Uint8Array.of(0, 0x45)),
      says: /DATAGRAM capsules have no place beside lanes/,
    },
  ]) {
    test(`${name} ends the session`, async () => {
      await opened();
      const client = await core.join("a");
      client.sendCapsule(capsule);
      const closed = await until("the end", () => client.closed);
      assert.equal(closed.code, HTTP3_CODE.H3_DATAGRAM_ERROR);
      assert.match(closed.reason, says);
      await assertEnd("protocol-error");
    });
  }

  test("a few at once are taken, of unknown types any number, one more ends the session", async () => {
    await opened();
    const client = await core.join("a");
    for (let message = 0; message < CONTROL_MESSAGES_BURST; message++) {
      client.sendCapsule(encodeAddressRequest([request(message + 1, 4)]));
      client.sendCapsule(encodeCapsule(0x1f * 42 + 0x17, Uint8Array.of(1, 2, 3)));
    }
    await until("the answers", () => assignments(client).length === CONTROL_MESSAGES_BURST + 1);
    for (let message = 0; message < CONTROL_MESSAGES_BURST; message++) {
      client.sendCapsule(encodeAddressRequest([request(message + 1, 4)]));
    }
    assert.equal((await until("the end", () => client.closed)).code, HTTP3_CODE.H3_EXCESSIVE_LOAD);
    await assertEnd("over-limit");
  });

  test("who does not read its control stream is not waited for", async () => {
    await opened();
    const client = await core.connect("a", { receiveWindow: 1000, highWater: 1000 });
    await client.openSession();
    client.sendCapsule = () => {};
    const control = client.control;
    assert.ok(control);
    control.onReadable = undefined;
    for (let change = 0; change < 60 && core.sessions.size > 0; change++) {
      const hosts = Array.from({ length: 500 }, (_, host) => `10.${host >> 7}.${2 * (host & 127)}.${change}`);
      await core.enforce(policyOf(...hosts));
    }
    const closed = await until("the end", () => client.closed);
    assert.deepEqual(
      [closed.code, closed.reason],
      [HTTP3_CODE.H3_EXCESSIVE_LOAD, "the client does not read its control stream"],
    );
  });
});

describe("a session ends", () => {
  for (const { name, end, reason, code } of [
    {
      name: "its client closes",
      end: (client: Client) => client.quic.close(0, "bye"),
      reason: "client",
      code: undefined,
    },
    { name: "its path dies", end: (client: Client) => client.quic.vanish(), reason: "idle", code: undefined },
    {
      name: "its client ends the control stream",
      end: (client: Client) => client.control?.finish(),
      ...{ reason: "client", code: HTTP3_CODE.H3_NO_ERROR },
    },
    {
      name: "its client resets a lane",
      end: (client: Client) =>
        void client.openUnreadLane(1).then((lane) => lane.reset(HTTP3_CODE.H3_REQUEST_CANCELLED)),
      ...{ reason: "client", code: HTTP3_CODE.H3_NO_ERROR },
    },
    {
      name: "its client breaks HTTP/3",
      end: (client: Client) => void client.quic.openBidi().then((stream) => stream.write(Uint8Array.of(0, 1, 0), 0, 3)),
      ...{ reason: "protocol-error", code: HTTP3_CODE.H3_FRAME_UNEXPECTED },
    },
    {
      name: "its certificate expires",
      end: () => core.sessions.endExpired(unixMs(Date.now() + 7 * 24 * 60 * 60 * 1000)),
      ...{ reason: "expired", code: CLOSE_CODE.REVOKED },
    },
    {
      name: "the relay goes down",
      end: () => core.sessions.endAll("drain", CLOSE_CODE.DRAINING, "the relay is going down"),
      ...{ reason: "drain", code: CLOSE_CODE.DRAINING },
    },
  ] satisfies readonly { name: string; end: (client: Client) => void; reason: EndReason; code: number | undefined }[]) {
    test(`because ${name}: ${reason}`, async () => {
      await opened();
      const client = await core.connect("a");
      await client.openSession({ lanes: 2, offload: "none" });
      await client.openLane(0);
      client.send(ipv4({ src: FIRST.ipv4, dst: "192.0.2.1", payload: udp(5000, 53) }));
      await until("the packet", () => core.tun.written.length === 1);
      end(client);
      const closed = await until("the end", () => client.closed);
      if (code !== undefined) assert.equal(closed.code, code, closed.reason);
      await until("the relay's end", () => core.sessions.size === 0);
      await assertEnd(reason);
      assert.equal(core.pool.active, 0, "the lease is free again");
      const [flow] = await core.audited("flow");
      assert.deepEqual([flow?.action, flow?.up], ["allow", { packets: 1, bytes: 28 }], "its flows end with it");
    });
  }

  test("a certificate that is still good ends nothing", async () => {
    await opened();
    await core.join("a");
    core.sessions.endExpired(unixMs(Date.now()));
    assert.equal(core.sessions.size, 1);
  });

  test("a drain announces itself first", async () => {
    await opened();
    const client = await core.join("a");
    const goaway = new Promise((resolve) => (client.http3.onGoaway = resolve));
    core.sessions.goaway();
    await goaway;
    assert.equal(client.closed, undefined);
  });
});
