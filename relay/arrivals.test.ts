import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeQuicPair } from "../shared/native/fake-quic.ts";
import type { QuicConnection } from "../shared/native/quic.ts";
import { Arrivals } from "./arrivals.ts";
import { MAX_ARRIVALS } from "./constants.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("one connection is accepted a turn, in the order in which they come", async () => {
  const accepted: QuicConnection[] = [];
  const arrivals = new Arrivals((connection) => accepted.push(connection));
  const connections = Array.from({ length: 3 }, () => fakeQuicPair().server);
  for (const connection of connections) arrivals.add(connection);
  for (let turns = 0; turns < connections.length; turns++) {
    assert.equal(accepted.length, turns);
    await turn();
  }
  assert.deepEqual(accepted, connections);
  const late = fakeQuicPair().server;
  arrivals.add(late);
  await turn();
  assert.equal(accepted.at(-1), late);
});

test("beyond the limit a connection is closed, and those before it are not", async () => {
  const accepted: QuicConnection[] = [];
  const arrivals = new Arrivals((connection) => accepted.push(connection));
  const pairs = Array.from({ length: MAX_ARRIVALS + 1 }, () => fakeQuicPair());
  for (const { server } of pairs) arrivals.add(server);
  assert.match((await pairs.at(-1)!.client.closed).reason, /too many connections/);
  while (accepted.length < MAX_ARRIVALS) await turn();
  assert.ok(!accepted.includes(pairs.at(-1)!.server));
});
