import assert from "node:assert/strict";
import { test } from "node:test";
import { clientIdentity } from "../shared/pki/identity.ts";
import { MAX_KNOWN_IDENTITIES } from "./constants.ts";
import { leafOf } from "./core-fixture.ts";
import { Identities } from "./identities.ts";

const der = async (name: string): Promise<Uint8Array> => new Uint8Array((await leafOf(name)).certificate.rawData);

test("a certificate is parsed once, and says the same each time", async () => {
  const identities = new Identities();
  const leaf = await der("a");
  const identity = identities.of([leaf]);
  assert.deepEqual(identity, clientIdentity(leaf));
  assert.equal(identities.of([Uint8Array.from(leaf), await der("b")]), identity, "the leaf alone counts");
  assert.deepEqual(identities.of([await der("b")]), clientIdentity(await der("b")));
});

test("what names no client is a sentence", () => {
  const identities = new Identities();
  assert.equal(identities.of([]), "there is no client certificate");
  for (let times = 0; times < 2; times++) {
    assert.match(String(identities.of([Uint8Array.of(48, 0)])), /names no client/);
  }
});

test("the oldest one makes room", async () => {
  const identities = new Identities();
  const leaf = await der("a");
  const identity = identities.of([leaf]);
  for (let others = 1; others < MAX_KNOWN_IDENTITIES; others++) identities.of([Uint8Array.of(others >> 8, others)]);
  assert.equal(identities.of([leaf]), identity);
  identities.of([Uint8Array.of(255, 255)]);
  assert.notEqual(identities.of([leaf]), identity);
});
