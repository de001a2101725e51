/** For tests: random policies from a small world, so that rules meet each other and flows meet rules. */
import fc from "fast-check";
import type { FlowTarget } from "../packet/flow.ts";
import { unixMs } from "../units.ts";
import { SourceText } from "../yaml/source.ts";
import { maskPrefix, type Prefix } from "./address.ts";
import type { PolicyClient, PolicyDocument, PolicyGroup, PolicyMember, PolicyRule } from "./document.ts";
import type { PortSelector } from "./port-selector.ts";
import type { TimeCondition } from "./schedule.ts";

const place = { source: new SourceText("policy.yaml", ""), offset: 0 };
const limits = { maxSessions: undefined, upBitsPerSecond: undefined, downBitsPerSecond: undefined };
const HOUR = 3_600_000;
const MONDAY = Date.UTC(2026, 0, 5);

const word = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      0,
      1,
      2,
      0x0a000000,
      0x0a000001,
      0x0a0000ff,
      0x0a010000,
      0x7fffffff,
      0x80000000,
      0xfffffffe,
      0xffffffff,
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) },
);
const length4 = fc.oneof(fc.constantFrom(0, 1, 8, 16, 24, 30, 31, 32), fc.integer({ min: 0, max: 32 }));
const length6 = fc.oneof(fc.constantFrom(0, 1, 31, 32, 33, 48, 64, 96, 127, 128), fc.integer({ min: 0, max: 128 }));
const prefix4 = fc
  .tuple(word, length4)
  .map(([w3, length]): Prefix => maskPrefix({ version: 4, w0: 0, w1: 0, w2: 0, w3, length }));
const prefix6 = fc
  .tuple(word, word, word, word, length6)
  .map(([w0, w1, w2, w3, length]): Prefix => maskPrefix({ version: 6, w0, w1, w2, w3, length }));
const prefix = fc.oneof({ weight: 2, arbitrary: prefix4 }, { weight: 1, arbitrary: prefix6 });

const protocol = fc.constantFrom(0, 1, 6, 17, 47, 58, 132, 255);
const port = fc.oneof(
  fc.constantFrom(0, 1, 22, 53, 80, 255, 443, 8000, 8050, 65534, 65535),
  fc.integer({ min: 0, max: 65535 }),
);
const selector = fc.tuple(protocol, fc.boolean(), port, port).map(([protocol, ranged, a, b]): PortSelector => {
  if (!ranged || protocol === 0 || protocol === 47 || protocol === 255)
    return { protocol, ranged: false, from: 0, to: 65535 };
  const most = protocol === 1 || protocol === 58 ? 255 : 65535;
  return { protocol, ranged: true, from: Math.min(a, b, most), to: Math.min(Math.max(a, b), most) };
});

export const hourOfWeek = fc.integer({ min: 0, max: 7 * 24 }).map((hour) => unixMs(MONDAY + hour * HOUR));
const time: fc.Arbitrary<TimeCondition> = fc.record({
  notBefore: fc.option(hourOfWeek, { nil: undefined }),
  notAfter: fc.option(hourOfWeek, { nil: undefined }),
  windows: fc.array(
    fc.record({
      days: fc.integer({ min: 1, max: 127 }).map((days) => days << 1),
      hours: fc
        .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 1, max: 24 }))
        .map(([from, hours]) => [{ from: from * 60, to: Math.min(from + hours, 24) * 60 }]),
      timezone: fc.constant("UTC"),
    }),
    { maxLength: 2 },
  ),
});

const rule = fc.record({
  action: fc.constantFrom("allow", "deny"),
  enabled: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  destinations: fc.oneof(
    { weight: 8, arbitrary: fc.array(prefix, { minLength: 1, maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  ports: fc.option(fc.array(selector, { minLength: 1, maxLength: 4 }), { nil: undefined }),
  time: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: time }),
});

function rulesNamed(prefix: string, maxLength: number): fc.Arbitrary<PolicyRule[]> {
  return fc.array(rule, { maxLength }).map((rules) =>
    rules.map((rule, index): PolicyRule => ({
      ...rule,
      id: `${prefix}${index}`,
      log: undefined,
      reason: undefined,
      place,
    })),
  );
}

const clients: fc.Arbitrary<PolicyClient[]> = fc
  .tuple(rulesNamed("a", 14), rulesNamed("b", 4), fc.constantFrom(true, true, true, false))
  .map(([a, b, enabled]) => [
    { name: "a", enabled: true, limits, rules: a, place },
    { name: "b", enabled, limits, rules: b, place },
  ]);
const member = (name: string): PolicyMember => ({ name, place });
const groups: fc.Arbitrary<PolicyGroup[]> = fc
  .tuple(rulesNamed("g", 20), rulesNamed("h", 6), fc.subarray([member("a"), member("b")]), fc.boolean())
  .map(([g, h, members, enabled]) => [
    { name: "g", enabled: true, members: [member("b"), member("a")], limits, rules: g, place },
    { name: "h", enabled, members, limits, rules: h, place },
  ]);
/** Clients `a` and `b`, groups `g` and `h`. */
export const policy: fc.Arbitrary<PolicyDocument> = fc
  .tuple(clients, groups, fc.constantFrom("allow", "deny"))
  .map(([clients, groups, defaultAction]) => ({
    metadata: {},
    defaultAction,
    clients: new Map(clients.map((client) => [client.name, client])),
    groups: new Map(groups.map((group) => [group.name, group])),
    tests: [],
  }));

export const flow = fc
  .record({
    version: fc.constantFrom(4, 6),
    protocol,
    words: fc.tuple(word, word, word, word),
    port,
    seen: fc.integer({ min: 0, max: 7 }),
  })
  .map(({ version, protocol, words: [dst0, dst1, dst2, dst3], port, seen }): FlowTarget => {
    const visible = seen > 0;
    const hasPorts = visible && (protocol === 6 || protocol === 17 || protocol === 132);
    const isIcmp = visible && (protocol === 1 || protocol === 58);
    const high = version === 4 ? [0, 0, 0] : [dst0, dst1, dst2];
    return {
      version,
      protocol,
      dst0: high[0] ?? 0,
      dst1: high[1] ?? 0,
      dst2: high[2] ?? 0,
      dst3,
      hasPorts,
      dstPort: hasPorts ? port : 0,
      icmpType: isIcmp ? port & 255 : -1,
    };
  });
/** A client, a flow and a time within the week that conditions are about. */
export const question = fc.tuple(fc.constantFrom("a", "b"), flow, hourOfWeek);
