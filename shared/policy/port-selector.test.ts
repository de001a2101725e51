import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Complaint } from "./complaint.ts";
import { formatPortSelector, formatProtocol, parsePortSelector, parseProtocol } from "./port-selector.ts";

const READ: readonly (readonly [
  text: string,
  protocol: number,
  ranged: boolean,
  from: number,
  to: number,
  written: string,
])[] = [
  ["tcp/443", 6, true, 443, 443, "tcp/443"],
  ["udp/8000-8100", 17, true, 8000, 8100, "udp/8000-8100"],
  ["tcp/0-65535", 6, true, 0, 65535, "tcp/0-65535"],
  ["tcp/*", 6, false, 0, 65535, "tcp/*"],
  ["tcp", 6, false, 0, 65535, "tcp/*"],
  ["sctp/5060", 132, true, 5060, 5060, "sctp/5060"],
  ["dccp/1", 33, true, 1, 1, "dccp/1"],
  ["udplite/1", 136, true, 1, 1, "udplite/1"],
  ["icmp", 1, false, 0, 65535, "icmp"],
  ["icmp/*", 1, false, 0, 65535, "icmp"],
  ["icmp/8", 1, true, 8, 8, "icmp/8"],
  ["icmp/echo-request", 1, true, 8, 8, "icmp/8"],
  ["icmp/13-18", 1, true, 13, 18, "icmp/13-18"],
  ["icmpv6/echo-request", 58, true, 128, 128, "icmpv6/128"],
  ["icmpv6", 58, false, 0, 65535, "icmpv6"],
  ["proto/47", 47, false, 0, 65535, "proto/47"],
  ["proto/6", 6, false, 0, 65535, "tcp/*"],
  ["proto/0", 0, false, 0, 65535, "proto/0"],
];

for (const [text, protocol, ranged, from, to, written] of READ) {
  test(`${text} is read and written as ${written}`, () => {
    const selector = parsePortSelector(text);
    assert.deepEqual(selector, { protocol, ranged, from, to });
    assert.equal(formatPortSelector(selector), written);
  });
}

for (const text of [
  "",
  "/",
  "tcp/",
  "tcp/a",
  "tcp/1-",
  "tcp/-1",
  "tcp/1-2-3",
  "tcp/65536",
  "tcp/01",
  "TCP/1",
  "tcp /1",
  "proto",
  "proto/256",
  "icmp/256",
  "udp/9-8",
  "*",
  "443",
]) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.ok(parsePortSelector(text) instanceof Complaint);
  });
}

test("protocols by name and number", () => {
  assert.deepEqual(["tcp", "udp", "icmp", "icmpv6", "47", "proto/47"].map(parseProtocol), [6, 17, 1, 58, 47, 47]);
  assert.deepEqual([6, 136, 47].map(formatProtocol), ["tcp", "udplite", "proto/47"]);
  const wrong = parseProtocol("tpc");
  assert.ok(wrong instanceof Complaint);
  assert.deepEqual([wrong.message, wrong.hint], ['"tpc" is not a protocol', 'did you mean "tcp"?']);
});

test("any text is a selector that reads back, or a complaint", () => {
  const text = fc.oneof(
    fc.string(),
    fc
      .tuple(fc.constantFrom("tcp", "icmp", "proto"), fc.string({ unit: fc.constantFrom(..."0123456789-*") }))
      .map((parts) => parts.join("/")),
  );
  fc.assert(
    fc.property(text, (text) => {
      const selector = parsePortSelector(text);
      if (!(selector instanceof Complaint)) assert.deepEqual(parsePortSelector(formatPortSelector(selector)), selector);
    }),
    { numRuns: 2_000 },
  );
});
