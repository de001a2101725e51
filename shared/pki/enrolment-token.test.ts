import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { MAX_SOURCES, SOURCE_BURST } from "./constants.ts";
import { formatToken, parseToken } from "./enrolment-token.ts";
import type { EnrolmentToken } from "./enrolment-token.ts";
import { SourceLimit, sourcePrefix } from "./source-limit.ts";
import { monotonicMs } from "../units.ts";

const TOKEN: EnrolmentToken = {
  at: { host: "relay.example", port: 4433 },
  rootFingerprint256: "ab".repeat(32),
  id: "abcDEF-_09",
  secret: "s".repeat(43),
  name: "client-1",
};

test("a token is one line, and comes back, with spaces around it too", () => {
  const line = formatToken(TOKEN);
  assert.match(line, /^zgate1\.[A-Za-z0-9_-]+$/);
  assert.deepEqual(parseToken(line), TOKEN);
  assert.deepEqual(parseToken(`  ${line}\r\n`), TOKEN);
  const v6 = { ...TOKEN, at: { host: "2001:db8::1", port: 1 } };
  assert.deepEqual(parseToken(formatToken(v6)), v6);
});

const WRONG: readonly Partial<EnrolmentToken>[] = [
  { at: { host: "a b", port: 1 } },
  { at: { host: "a", port: 0 } },
  { rootFingerprint256: "AB" },
  { id: "../x" },
  { id: "" },
  { secret: "" },
  { name: "../x" },
];

for (const change of WRONG) {
  test(`refused: ${JSON.stringify(change)}`, () => {
    assert.throws(() => parseToken(formatToken({ ...TOKEN, ...change })), { code: "ZG_PKI_INVALID" });
  });
}

test("no part of a token and no other text is taken for one, and no message repeats it", () => {
  const line = formatToken(TOKEN);
  const refused = (text: string): void => {
    try {
      assert.deepEqual(parseToken(text), TOKEN);
    } catch (error) {
      assert.ok(error instanceof ZgateError);
      assert.equal(error.message, "this is no enrolment token, or not the whole line of one");
    }
  };
  for (let length = 0; length < line.length; length++) refused(line.slice(0, length));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `zgate1.${text}`),
        fc.json().map((text) => `zgate1.${Buffer.from(text).toString("base64url")}`),
      ),
      refused,
    ),
  );
});

test("prefixes of sources", () => {
  const cases: readonly [string, string][] = [
    ["192.0.2.77", "192.0.2"],
    ["::ffff:192.0.2.77", "192.0.2"],
    ["2001:db8:1:23ff::1", "2001:db8:1:23"],
    ["2001:db8:1:2300:9::1", "2001:db8:1:23"],
    ["2001:db8:1:22ff::1", "2001:db8:1:22"],
    ["fe80::1%eth0", "fe80:0:0:00"],
    ["::1", "0:0:0:00"],
  ];
  for (const [address, prefix] of cases) assert.equal(sourcePrefix(address), prefix, address);
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => assert.equal(typeof sourcePrefix(address), "string")),
  );
});

test("the longest silent source is forgotten first", () => {
  const limit = new SourceLimit();
  const now = monotonicMs(0);
  const exhaust = (address: string): void => {
    for (let count = 0; count < SOURCE_BURST; count++) limit.take(address, now);
    assert.equal(limit.take(address, now), false);
  };
  exhaust("10.255.255.1");
  exhaust("10.255.254.1");
  for (let source = 0; source < MAX_SOURCES - 1; source++) limit.take(`10.${source >> 8}.${source & 0xff}.1`, now);
  assert.equal(limit.take("10.255.254.1", now), false);
  assert.equal(limit.take("10.255.255.1", now), true);
});
