import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_CLIENT_WAITING, MAX_WAITING } from "./constants.ts";
import { WaitingConnections } from "./waiting-connections.ts";

test("a client has its few places, and gets one back when a connection leaves, once", () => {
  const waiting = new WaitingConnections();
  const leaves = Array.from({ length: MAX_CLIENT_WAITING }, () => waiting.enter("a"));
  assert.equal(waiting.enter("a"), undefined);
  assert.notEqual(waiting.enter("b"), undefined);
  leaves[0]?.();
  leaves[0]?.();
  assert.notEqual(waiting.enter("a"), undefined);
  assert.equal(waiting.enter("a"), undefined);
});

test("all clients together have a limit too", () => {
  const waiting = new WaitingConnections();
  for (let client = 0; client < MAX_WAITING; client++) assert.notEqual(waiting.enter(`client-${client}`), undefined);
  assert.equal(waiting.enter("one more"), undefined);
});
