import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { Http3Connection } from "../shared/http3/connection.ts";
import type { Field, Fields } from "../shared/http3/fields.ts";
import { encodeSettings } from "../shared/http3/settings.ts";
import { HTTP3_CODE, STREAM_TYPE } from "../shared/http3/spec.ts";
import type { Http3Stream } from "../shared/http3/stream.ts";
import { readWholeBody } from "../shared/http3/whole-body.ts";
import { fakeQuicPair } from "../shared/native/fake-quic.ts";
import { FakeTun } from "../shared/native/fake-tun.ts";
import { formatPrefix, parseAddress, parsePrefix } from "../shared/packet/address.ts";
import type { Prefix } from "../shared/packet/address.ts";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { framed } from "../shared/packet/offload-fixture.ts";
import { MAX_ANSWER_BYTES, RENEWAL_PATH, SESSION_SERIAL_FIELD } from "../shared/pki/constants.ts";
import type { LoadedTls } from "../shared/pki/tls-files.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { encodeAddressAssign } from "../shared/tunnel/address-capsule.ts";
import { encodeCapsule } from "../shared/tunnel/capsule.ts";
import { CapsuleChannel } from "../shared/tunnel/capsule-channel.ts";
import { CAPSULE_ADDRESS_ASSIGN, SLAB_HEADROOM } from "../shared/tunnel/constants.ts";
import { LanePump } from "../shared/tunnel/lane-pump.ts";
import { encodeRouteAdvertisement } from "../shared/tunnel/route-capsule.ts";
import { RunList } from "../shared/tunnel/run-list.ts";
import { unixMs } from "../shared/units.ts";
import { SessionRefused } from "./connect-request.ts";
import { Downlink } from "./downlink.ts";
import { AgentSession } from "./session.ts";

const AUTHORITY = "relay.example:4433";
const TLS: LoadedTls = {
  material: { certificatePem: "", privateKeyPem: "", caPem: "the CA", keyExchange: "prefer-pq" },
  leaf: { subject: "CN=a", serial: "01", notBefore: unixMs(0), notAfter: unixMs(1) },
  warnings: [],
  files: [],
};
const GRANTED: Field[] = [
  ["zgate-lanes", "2"],
  ["zgate-mtu", "1400"],
];

const assign = (...prefixes: readonly string[]): Uint8Array =>
  encodeAddressAssign(prefixes.map((prefix) => ({ requestId: 0, prefix: parsePrefix(prefix) })));
const advertise = (...ranges: readonly (readonly [string, string])[]): Uint8Array =>
  encodeRouteAdvertisement(
    ranges.map(([start, end]) => {
      const { version, words } = parseAddress(start);
      return { version, start: words, end: parseAddress(end).words, ipProtocol: 0 };
    }),
  );
const ADDRESSES = assign("10.90.0.2/32", "fd90::2/128");
const ROUTES = advertise(["192.0.2.0", "192.0.2.255"]);

/** A relay that does as the test says, and the agent's end of a session with it. */
class World {
  readonly tun = new FakeTun();
  readonly downlink = new Downlink(new DeviceWriter(this.tun, () => undefined));
  readonly requests: Fields[] = [];
  readonly lanes: Http3Stream[] = [];
  readonly advertised: string[][] = [];
  control: CapsuleChannel | undefined;
  controlStream: Http3Stream | undefined;
  /** Answers the control request. */
  onControl = (stream: Http3Stream): void => {
    stream.respond(200, GRANTED);
    this.say(ADDRESSES, ROUTES);
  };
  onLane = (stream: Http3Stream): void => stream.respond(200);
  onOther = (stream: Http3Stream): void => stream.respond(404, [], { end: true });
  readonly relay: Http3Connection;
  readonly agent: Http3Connection;

  constructor() {
    const pair = fakeQuicPair();
    this.agent = new Http3Connection(pair.client, "client");
    this.relay = new Http3Connection(pair.server, "server");
    this.relay.onRequest = (stream) => this.#request(stream);
  }

  open(): Promise<AgentSession> {
    return AgentSession.open(this.agent, {
      authority: AUTHORITY,
      tls: TLS,
      wish: { lanes: 2, offload: "none" },
      pump: new LanePump(),
      downlink: this.downlink,
      onRoutes: (routes) => void this.advertised.push(routes.map(formatPrefix)),
    });
  }

  /** Sends capsules on the control stream. */
  say(...capsules: readonly Uint8Array[]): void {
    for (const capsule of capsules) assert.ok(this.control?.send(capsule));
  }

  #request(stream: Http3Stream): void {
    this.requests.push(stream.request);
    const protocol = stream.field(":protocol");
    if (protocol === "connect-ip") {
      this.controlStream = stream;
      const ignore = (): void => {};
      this.control = new CapsuleChannel(stream, { onCapsule: ignore, onEnd: ignore, onFault: assert.fail });
      this.onControl(stream);
    } else if (protocol === "zgate-lane") {
      this.lanes.push(stream);
      this.onLane(stream);
    } else {
      this.onOther(stream);
    }
  }

  close(): void {
    this.agent.close(HTTP3_CODE.H3_NO_ERROR, "the test is over");
  }
}

let world: World;
afterEach(() => world.close());

/** The fake wire takes no time, so a timer fires behind all that was sent before it was set. Milliseconds. */
const LATER_MS = 5;

const names = (prefixes: readonly Prefix[]): string[] => prefixes.map(formatPrefix);
const event = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
async function until(what: string, probe: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5_000; turn++) {
    if (probe()) return;
    await event();
  }
  assert.fail(`waited in vain for ${what}`);
}

describe("a session that opens", () => {
  test("asks as docs/protocol.md says, opens its lanes, and knows what it was given", async () => {
    world = new World();
    const session = await world.open();
    const [control, ...lanes] = world.requests;
    assert.deepEqual(control, [
      [":method", "CONNECT"],
      [":protocol", "connect-ip"],
      [":scheme", "https"],
      [":authority", AUTHORITY],
      [":path", "/.well-known/masque/ip/*/*/"],
      ["capsule-protocol", "?1"],
      ["zgate-version", "1"],
      ["zgate-lanes", "2"],
    ]);
    assert.deepEqual(
      lanes.map((fields) => fields.find(([name]) => name === ":path")?.[1]),
      ["/lane/0", "/lane/1"],
    );
    assert.deepEqual(session.agreement, { version: 1, lanes: 2, offload: "none", mtu: 1400 });
    assert.deepEqual(names(session.addresses), ["10.90.0.2/32", "fd90::2/128"]);
    assert.deepEqual(names(session.routes), ["192.0.2.0/24"]);
    assert.equal(session.senders.length, 2);
    assert.deepEqual(world.advertised, []);
  });

  test("waits for both addresses and routes, in whichever order and pieces", async () => {
    world = new World();
    world.onControl = (stream) => {
      stream.respond(200, GRANTED);
      world.say(ROUTES);
      setTimeout(() => world.say(ADDRESSES), LATER_MS);
    };
    const session = await world.open();
    assert.equal(session.addresses.length, 2);
    assert.deepEqual(names(session.routes), ["192.0.2.0/24"]);
  });

  test("hands what its lanes bring to the device", async () => {
    world = new World();
    await world.open();
    const packet = ipv4({ payload: udp(53, 1) });
    for (const lane of world.lanes) {
      const frames = framed([packet]);
      const slab = new Uint8Array(SLAB_HEADROOM + frames.length);
      slab.set(frames, SLAB_HEADROOM);
      lane.writeBody(slab, SLAB_HEADROOM, slab.length);
    }
    await until("the packets", () => world.tun.written.length === 2);
    assert.deepEqual(world.tun.written, [packet, packet]);
  });
});

describe("a relay that takes lanes on demand", () => {
  const packet = ipv4({ payload: udp(53, 1) });
  const send = (session: AgentSession, lane: number, count: number): void => {
    const frames = framed(Array.from({ length: count }, () => packet));
    const slab = new Uint8Array(SLAB_HEADROOM + frames.length);
    slab.set(frames, SLAB_HEADROOM);
    const runs = new RunList();
    runs.add(SLAB_HEADROOM, slab.length);
    assert.equal(session.senders[lane]!.send(slab, runs), 0);
  };
  const paths = (): (string | undefined)[] => world.lanes.map((lane) => lane.field(":path"));
  const openOnDemand = (): Promise<AgentSession> => {
    world = new World();
    world.onControl = (stream) => {
      stream.respond(200, [...GRANTED, ["zgate-lane-opening", "on-demand"]]);
      world.say(ADDRESSES, ROUTES);
    };
    return world.open();
  };

  test("gets the first one with the session, and another one with its first frame", async () => {
    const session = await openOnDemand();
    assert.deepEqual(paths(), ["/lane/0"]);
    const body = new Uint8Array(4096);
    let bytes = 0;
    // Frames come before the answer, which waits for them.
    world.onLane = (stream) => {
      const read = (): void => {
        for (let got = 1; got > 0; bytes += Math.max(0, got)) got = stream.readBody(body, bytes, body.length);
        if (bytes === 2 * framed([packet]).length && stream.status === 0) stream.respond(200);
      };
      stream.onReadable = read;
      read();
    };
    send(session, 1, 1);
    send(session, 1, 1);
    assert.equal(session.senders[1]!.congested, true);
    await until("both frames", () => bytes === 2 * framed([packet]).length);
    assert.equal(session.senders[1]!.congested, false);
    assert.deepEqual(paths(), ["/lane/0", "/lane/1"]);
    assert.deepEqual(Buffer.from(body.subarray(0, bytes)), Buffer.from(framed([packet, packet])));
  });

  test("and refuses one: the session ends", async () => {
    const session = await openOnDemand();
    world.onLane = (stream) => stream.respond(409, [["zgate-reason", "lane 1 is open already"]], { end: true });
    send(session, 1, 1);
    const { reason } = await session.closed;
    assert.equal(reason, "lane 1: the relay refused the session with 409: lane 1 is open already");
  });
});

describe("routes that are advertised again", () => {
  test("while the lanes are opened are those that the session begins with", async () => {
    world = new World();
    const waiting: Http3Stream[] = [];
    world.onLane = (stream) => {
      waiting.push(stream);
      if (waiting.length < 2) return;
      world.say(advertise(["198.51.100.0", "198.51.100.127"]));
      setTimeout(() => waiting.forEach((lane) => lane.respond(200)), LATER_MS);
    };
    const session = await world.open();
    assert.deepEqual(names(session.routes), ["198.51.100.0/25"]);
    assert.deepEqual(world.advertised, []);
  });

  test("later are told each time", async () => {
    world = new World();
    await world.open();
    world.say(advertise(["198.51.100.0", "198.51.100.2"]), advertise());
    await until("the routes", () => world.advertised.length === 2);
    assert.deepEqual(world.advertised, [["198.51.100.0/31", "198.51.100.2/32"], []]);
  });
});

describe("a session does not open", () => {
  for (const { name, status, fields, message, retryAfterMs } of [
    {
      name: "that the relay refuses, with its reason",
      status: 403,
      fields: [["zgate-reason", "the policy does not know the client a"]],
      message: "the relay refused the session with 403: the policy does not know the client a",
      retryAfterMs: undefined,
    },
    {
      name: "that the relay refuses for now",
      status: 503,
      fields: [
        ["zgate-reason", "the relay is going down"],
        ["retry-after", "2"],
      ],
      message: "the relay refused the session with 503: the relay is going down",
      retryAfterMs: 2000,
    },
    {
      name: "that is refused without a reason",
      status: 400,
      fields: [["retry-after", "soon"]],
      message: "the relay refused the session with 400: it gave no reason",
      retryAfterMs: undefined,
    },
  ] as const) {
    test(name, async () => {
      world = new World();
      world.onControl = (stream) => stream.respond(status, [...fields], { end: true });
      const refused = await world.open().then(
        () => assert.fail("it opened"),
        (error: unknown) => error,
      );
      assert.ok(refused instanceof SessionRefused);
      const { code, message: said, retryAfterMs: wait } = refused;
      assert.deepEqual([code, said, refused.status, wait], ["ZG_SESSION_REFUSED", message, status, retryAfterMs]);
      const closed = await world.relay.closed;
      assert.deepEqual([closed.code, closed.reason], [HTTP3_CODE.H3_NO_ERROR, "the session did not open"]);
    });
  }

  for (const { name, answer, capsules, code, message } of [
    {
      name: "with a relay that grants more than was asked for",
      answer: [["zgate-lanes", "3"]],
      code: "ZG_NEGOTIATION",
      message: /zgate-lanes is 3: 2 were asked for/,
    },
    {
      name: "with a plain RFC 9484 proxy",
      answer: [],
      code: "ZG_CONNECT_FAILED",
      message: "relay.example:4433 offers no lanes: it is a plain RFC 9484 proxy",
    },
    {
      name: "with addresses that cannot be",
      answer: GRANTED,
      capsules: [encodeCapsule(CAPSULE_ADDRESS_ASSIGN, Uint8Array.of(0, 5))],
      code: "ZG_CAPSULE",
      message: /ADDRESS_ASSIGN/,
    },
  ] as const) {
    test(name, async () => {
      world = new World();
      world.onControl = (stream) => {
        stream.respond(200, [...answer]);
        world.say(...(capsules ?? []));
      };
      await assert.rejects(world.open(), { code, message });
      await world.relay.closed;
    });
  }

  test("when the relay refuses a lane", async () => {
    world = new World();
    world.onLane = (stream) => {
      if (stream.field(":path") === "/lane/0") stream.respond(200);
      else stream.respond(409, [["zgate-reason", "lane 1 is open already"]], { end: true });
    };
    await assert.rejects(world.open(), { message: /409: lane 1 is open already$/ });
    assert.equal((await world.relay.closed).reason, "the session did not open");
  });

  test("when the control stream ends before the addresses", async () => {
    world = new World();
    world.onControl = (stream) => stream.respond(200, GRANTED, { end: true });
    await assert.rejects(world.open(), { code: "ZG_CONNECTION_CLOSED", message: "the peer ended the control stream" });
  });

  test("when the connection closes meanwhile", async () => {
    world = new World();
    world.onControl = (stream) => {
      stream.respond(200, GRANTED);
      setTimeout(() => world.relay.close(0x123, "the relay stops"), LATER_MS);
    };
    await assert.rejects(world.open(), {
      code: "ZG_CONNECTION_CLOSED",
      message: /the connection closed: the relay stops/,
    });
  });

  test("with a peer that has no extended CONNECT", async () => {
    world = new World();
    const { client, server } = fakeQuicPair();
    const control = await server.openUni();
    const settings = encodeSettings({
      maxFieldSectionSize: Infinity,
      qpackMaxTableCapacity: 0,
      qpackBlockedStreams: 0,
      enableConnectProtocol: false,
      h3Datagram: false,
    });
    const bytes = Uint8Array.of(STREAM_TYPE.CONTROL, ...settings);
    control.write(bytes, 0, bytes.length);
    const http3 = new Http3Connection(client, "client");
    const opening = AgentSession.open(http3, {
      ...{ authority: AUTHORITY, tls: TLS, pump: new LanePump(), downlink: world.downlink },
      wish: { lanes: 1, offload: "none" },
      onRoutes: () => assert.fail("there is no session"),
    });
    const message = "relay.example:4433 does not offer extended CONNECT: it is no relay";
    await assert.rejects(opening, { code: "ZG_CONNECT_FAILED", message });
    await server.closed;
  });
});

describe("a session ends", () => {
  for (const { name, end, code, reason } of [
    {
      name: "when the relay ends a lane",
      end: () => world.lanes[1]?.finish(),
      ...{ code: HTTP3_CODE.H3_NO_ERROR, reason: "lane 1: the peer ended the lane" },
    },
    {
      name: "when a frame cannot be",
      end: () => world.lanes[0]?.writeBody(new Uint8Array(SLAB_HEADROOM + 2), SLAB_HEADROOM, SLAB_HEADROOM + 2),
      ...{ code: HTTP3_CODE.H3_MESSAGE_ERROR, reason: "lane 0: empty frame" },
    },
    {
      name: "when the relay ends the control stream",
      end: () => world.controlStream?.finish(),
      ...{ code: HTTP3_CODE.H3_NO_ERROR, reason: "the peer ended the control stream" },
    },
    {
      name: "when a capsule cannot be",
      end: () => world.say(encodeCapsule(CAPSULE_ADDRESS_ASSIGN, Uint8Array.of(0, 5))),
      ...{
        code: HTTP3_CODE.H3_DATAGRAM_ERROR,
        reason: "ADDRESS_ASSIGN has the IP version 5 at byte 1: expected 4 or 6",
      },
    },
  ]) {
    test(name, async () => {
      world = new World();
      const session = await world.open();
      end();
      await session.closed;
      const closed = await world.relay.closed;
      assert.deepEqual([closed.source, closed.code, closed.reason], ["peer-application", code, reason]);
    });
  }

  test("when the agent says so, with its reason", async () => {
    world = new World();
    const session = await world.open();
    session.close("other certificates are there");
    const closed = await world.relay.closed;
    assert.deepEqual([closed.code, closed.reason], [HTTP3_CODE.H3_NO_ERROR, "other certificates are there"]);
  });
});

describe("renewal on the session's connection", () => {
  test("brings the answer, and the session stands on the new certificate where the relay says so", async () => {
    world = new World();
    const session = await world.open();
    const asked: string[] = [];
    world.onOther = (stream) => {
      assert.equal(stream.field(":path"), RENEWAL_PATH);
      void readWholeBody(stream, MAX_ANSWER_BYTES).then((body) => {
        asked.push(Buffer.from(body ?? []).toString());
        stream.respond(200, [[SESSION_SERIAL_FIELD, "02"]], { body: Buffer.from('{"chain":"…"}'), end: true });
      });
    };
    const renewed: LoadedTls = { ...TLS, leaf: { ...TLS.leaf, serial: "02" } };
    assert.deepEqual([session.standsOn(TLS), session.standsOn(renewed)], [true, false]);
    const answer = await session.renewal('{"request":"…"}');
    assert.deepEqual(answer, { service: `the relay at ${AUTHORITY}`, status: 200, body: '{"chain":"…"}' });
    assert.deepEqual(asked, ['{"request":"…"}']);
    assert.equal(session.serial, "02");
    assert.deepEqual([session.standsOn(TLS), session.standsOn(renewed)], [false, true]);
  });

  test("that is refused says why, and leaves the session as it is", async () => {
    world = new World();
    const session = await world.open();
    world.onOther = (stream) => stream.respond(403, [["zgate-reason", "revoked"]], { end: true });
    const { status, body } = await session.renewal("{}");
    assert.deepEqual([status, JSON.parse(body), session.serial], [403, { error: "revoked" }, "01"]);
  });

  test("needs a new session where other files are trusted", async () => {
    world = new World();
    const session = await world.open();
    assert.ok(!session.standsOn({ ...TLS, material: { ...TLS.material, caPem: "another CA" } }));
    assert.ok(!session.standsOn({ ...TLS, material: { ...TLS.material, crlPem: "a list" } }));
  });
});
