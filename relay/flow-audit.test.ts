import assert from "node:assert/strict";
import { test } from "node:test";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { FLOW_IDLE_UDP_MS, FLOWS_ENDED_A_TURN } from "./constants.ts";
import { FIRST, RelayCore, SECOND, until } from "./core-fixture.ts";

const POLICY = `
groups:
  everyone: { members: [a, b], rules: [{ id: all, type: ip_cidr, action: allow, destinations: [0.0.0.0/0] }] }
clients: { a: {}, b: {} }
`;

/** Packets of so many flows of a client. */
function packets(count: number, src = FIRST.ipv4): Uint8Array[] {
  return Array.from({ length: count }, (_, port) => ipv4({ src, dst: "192.0.2.1", payload: udp(port + 1, 53) }));
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the flows of a session that ends are all audited, however many", async (t) => {
  const core = await RelayCore.open({ policy: POLICY });
  t.after(() => core.close());
  const client = await core.join("a");
  const flows = 3 * FLOWS_ENDED_A_TURN;
  client.send(...packets(flows));
  await until("the flows", () => core.tun.written.length === flows);
  client.quic.close(0, "over");
  await until("the end", () => core.sessions.size === 0);
  while ((await core.audited("flow")).length < flows) await turn();
  const ports = (await core.audited("flow")).map(({ srcPort }) => srcPort ?? 0);
  assert.equal(new Set(ports).size, flows);
});

test("idle flows of all sessions end in turns", async (t) => {
  const core = await RelayCore.open({ policy: POLICY });
  t.after(() => core.close());
  const each = 3 * FLOWS_ENDED_A_TURN;
  const [a, b] = [await core.join("a"), await core.join("b")];
  a.send(...packets(each, FIRST.ipv4));
  b.send(...packets(each, SECOND.ipv4));
  await until("the flows", () => core.tun.written.length === 2 * each);
  const expired = (): number => core.count("flows", "expired");
  const idleMs = performance.now() + FLOW_IDLE_UDP_MS;
  core.flowAudit.expire(core.sessions, idleMs - 60_000);
  assert.equal(expired(), 0);
  core.flowAudit.expire(core.sessions, idleMs + 1);
  for (let last = expired(); last < 2 * each; last = expired()) {
    core.flowAudit.expire(core.sessions, idleMs + 1);
    await turn();
    assert.ok(expired() > last && expired() - last <= FLOWS_ENDED_A_TURN, `${last}, then ${expired()}`);
  }
  assert.equal((await core.audited("flow")).length, 2 * each);
  assert.deepEqual(
    [...core.sessions].map(({ flows }) => flows.size),
    [0, 0],
  );
});

test("a session that ends while its idle flows do has each of them audited once", async (t) => {
  const core = await RelayCore.open({ policy: POLICY });
  t.after(() => core.close());
  const flows = 4 * FLOWS_ENDED_A_TURN;
  const client = await core.join("a");
  client.send(...packets(flows));
  await until("the flows", () => core.tun.written.length === flows);
  core.flowAudit.expire(core.sessions, performance.now() + FLOW_IDLE_UDP_MS + 1);
  core.sessions.endAll("drain", 0, "over");
  core.flowAudit.finish();
  await turn();
  const ports = (await core.audited("flow")).map(({ srcPort }) => srcPort);
  assert.deepEqual([ports.length, new Set(ports).size], [flows, flows]);
  assert.equal(core.count("flows", "expired"), FLOWS_ENDED_A_TURN);
});
