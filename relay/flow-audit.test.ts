import assert from "node:assert/strict";
import { test } from "node:test";
import { ipv4, udp } from "../shared/packet/fixture.ts";
import { FLOWS_ENDED_A_TURN } from "./constants.ts";
import { RelayCore, until } from "./core-fixture.ts";

const POLICY = `
clients:
  a: { rules: [{ id: all, type: ip_cidr, action: allow, destinations: [0.0.0.0/0] }] }
`;

test("the flows of a session that ends are all audited, however many", async (t) => {
  const core = await RelayCore.open({ policy: POLICY });
  t.after(() => core.close());
  const client = await core.join("a");
  const flows = 3 * FLOWS_ENDED_A_TURN;
  const src = "10.90.0.2";
  client.send(
    ...Array.from({ length: flows }, (_, port) => ipv4({ src, dst: "192.0.2.1", payload: udp(port + 1, 53) })),
  );
  await until("the flows", () => core.tun.written.length === flows);
  client.quic.close(0, "over");
  await until("the end", () => core.sessions.size === 0);
  while ((await core.audited("flow")).length < flows) await new Promise((turn) => setImmediate(turn));
  const ports = (await core.audited("flow")).map(({ srcPort }) => srcPort ?? 0);
  assert.equal(new Set(ports).size, flows);
});
