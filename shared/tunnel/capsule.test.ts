import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { maskWords } from "../packet/address.ts";
import type { AddressWords, IpVersion } from "../packet/address.ts";
import { encodeVarint } from "../wire/varint.ts";
import {
  decodeAddressAssign,
  decodeAddressRequest,
  encodeAddressAssign,
  encodeAddressRequest,
} from "./address-capsule.ts";
import type { AddressEntry } from "./address-capsule.ts";
import { CapsuleReader, encodeCapsule } from "./capsule.ts";
import { MAX_CAPSULE_ADDRESSES, MAX_CAPSULE_ROUTES, MAX_CAPSULE_VALUE } from "./constants.ts";
import { decodeRouteAdvertisement, encodeRouteAdvertisement } from "./route-capsule.ts";
import type { RouteEntry } from "./route-capsule.ts";

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function capsuleError(message: string | RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ZgateError);
    assert.equal(error.code, "ZG_CAPSULE");
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  };
}

/** All capsules in `bytes`, cut into chunks of `size`. */
function readCapsules(bytes: Uint8Array, size: number): { capsules: [number, string][]; atBoundary: boolean } {
  const capsules: [number, string][] = [];
  const reader = new CapsuleReader((type, value) => capsules.push([type, text(value)]));
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes, at, Math.min(bytes.length, at + size));
  return { capsules, atBoundary: reader.atBoundary };
}

describe("CapsuleReader", () => {
  const cases = [
    { name: "nothing", bytes: "", capsules: [], atBoundary: true },
    { name: "an empty ADDRESS_ASSIGN", bytes: "01 00", capsules: [[1, ""]], atBoundary: true },
    { name: "a DATAGRAM of context 0", bytes: "00 03 00 4500", capsules: [[0, "004500"]], atBoundary: true },
    { name: "longer encodings of type and length", bytes: "4003 80000001 ff", capsules: [[3, "ff"]], atBoundary: true },
    {
      name: "an unknown type between two known ones",
      bytes: "01 00 29 02 abcd 02 01 07",
      capsules: [
        [1, ""],
        [2, "07"],
      ],
      atBoundary: true,
    },
    {
      name: "an unknown type that never ends",
      bytes: "29 ffffffffffffffff 0102030405",
      capsules: [],
      atBoundary: false,
    },
    { name: "cut off in the type", bytes: "40", capsules: [], atBoundary: false },
    { name: "cut off in the length", bytes: "01 40", capsules: [], atBoundary: false },
    { name: "cut off in the value", bytes: "01 02 00", capsules: [], atBoundary: false },
  ] as const;
  for (const { name, bytes, capsules, atBoundary } of cases) {
    for (const size of [1, 2, 1000]) {
      test(`${name}, ${size} bytes at a time`, () =>
        assert.deepEqual(readCapsules(hex(bytes), size), { capsules, atBoundary }));
    }
  }

  test("a known type over the limit is an error before its value comes", () => {
    const header = new Uint8Array(9);
    header[0] = 3;
    const size = 1 + encodeVarint(MAX_CAPSULE_VALUE + 1, header, 1);
    assert.throws(
      () => readCapsules(header.subarray(0, size), 100),
      capsuleError("capsule type 3 has a value of 65544 bytes: at most 65543 are read"),
    );
    encodeVarint(MAX_CAPSULE_VALUE, header, 1);
    assert.deepEqual(readCapsules(header.subarray(0, size), 100), { capsules: [], atBoundary: false });
  });

  test("round trip over any cut", () => {
    const capsule = fc.tuple(fc.constantFrom(0, 1, 2, 3, 4, 0x29, 2 ** 40), fc.uint8Array({ maxLength: 100 }));
    fc.assert(
      fc.property(fc.array(capsule, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (capsules, size) => {
        const bytes = Buffer.concat(capsules.map(([type, value]) => encodeCapsule(type, value)));
        const known = capsules.filter(([type]) => type <= 3).map(([type, value]) => [type, text(value)]);
        assert.deepEqual(readCapsules(bytes, size), { capsules: known, atBoundary: true });
      }),
    );
  });

  test("random bytes are capsules or a ZgateError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        try {
          readCapsules(bytes, size);
        } catch (error) {
          capsuleError(/at most 65543 are read$/)(error);
        }
      }),
    );
  });
});

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const address: fc.Arbitrary<{ version: IpVersion; words: AddressWords }> = fc.oneof(
  u32.map((word) => ({ version: 4 as const, words: [0, 0, 0, word] as const })),
  fc.tuple(u32, u32, u32, u32).map((words) => ({ version: 6 as const, words })),
);
const entry: fc.Arbitrary<AddressEntry> = fc
  .tuple(address, fc.nat(128), fc.nat(70_000))
  .map(([{ version, words }, bits, id]) => {
    const length = version === 4 ? bits & 31 : bits;
    return { requestId: id, prefix: { version, words: maskWords(version, words, length), length } };
  });

/** The value inside an encoded capsule. */
function valueIn(capsule: Uint8Array): Uint8Array {
  let found: Uint8Array | undefined;
  new CapsuleReader((_, value) => (found = value.slice())).push(capsule, 0, capsule.length);
  assert.ok(found);
  return found;
}

describe("ADDRESS_ASSIGN and ADDRESS_REQUEST", () => {
  test("the bytes of an assignment of both families", () => {
    const entries: AddressEntry[] = [
      { requestId: 0, prefix: { version: 4, words: [0, 0, 0, 0x0a5a_0002], length: 32 } },
      { requestId: 300, prefix: { version: 6, words: [0xfd00_0001, 0, 0, 2], length: 128 } },
    ];
    const bytes = hex("01 1b  00 04 0a5a0002 20  412c 06 fd000001000000000000000000000002 80");
    assert.deepEqual(encodeAddressAssign(entries), bytes);
    assert.deepEqual(decodeAddressAssign(bytes.subarray(2)), entries);
  });

  const wrong = [
    { name: "a cut request id", value: "40", message: "ADDRESS_ASSIGN ends inside the address at byte 0" },
    { name: "no version", value: "00", message: "ADDRESS_ASSIGN ends before the IP version at byte 1" },
    {
      name: "version 5",
      value: "00 05 0a000001 20",
      message: "ADDRESS_ASSIGN has the IP version 5 at byte 1: expected 4 or 6",
    },
    { name: "a cut address", value: "00 04 0a0000", message: "ADDRESS_ASSIGN ends inside the address at byte 1" },
    { name: "no prefix length", value: "00 04 0a000001", message: "ADDRESS_ASSIGN ends inside the address at byte 1" },
    {
      name: "33 bits",
      value: "00 04 0a000001 21",
      message: "ADDRESS_ASSIGN has an IPv4 prefix of 33 bits: at most 32 are possible",
    },
    {
      name: "bits behind the length",
      value: "00 04 0a000001 08",
      message: "ADDRESS_ASSIGN has bits set behind the prefix length of 10.0.0.1/8",
    },
    {
      name: "one too many",
      value: "00 04 0a000001 20".repeat(MAX_CAPSULE_ADDRESSES + 1),
      message: "ADDRESS_ASSIGN has more than 64 addresses",
    },
  ];
  for (const { name, value, message } of wrong) {
    test(name, () => assert.throws(() => decodeAddressAssign(hex(value)), capsuleError(message)));
  }

  const wrongRequests = [
    { name: "an empty request", value: "", message: "ADDRESS_REQUEST asks for no address" },
    { name: "request id 0", value: "00 04 00000000 20", message: "ADDRESS_REQUEST has the request id 0" },
    {
      name: "a request id that no answer could repeat exactly",
      value: "c020000000000000 04 00000000 20",
      message: "ADDRESS_REQUEST has a request id above 9007199254740991",
    },
    {
      name: "a request id twice",
      value: "01 04 00000000 20".repeat(2),
      message: "ADDRESS_REQUEST has the request id 1 twice",
    },
  ];
  for (const { name, value, message } of wrongRequests) {
    test(name, () => assert.throws(() => decodeAddressRequest(hex(value)), capsuleError(message)));
  }

  test("round trip; every truncation inside an entry is an error", () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: MAX_CAPSULE_ADDRESSES }), (entries) => {
        const value = valueIn(encodeAddressAssign(entries));
        assert.deepEqual(decodeAddressAssign(value), entries);
      }),
    );
    fc.assert(
      fc.property(entry, (one) => {
        const value = valueIn(encodeAddressAssign([one]));
        for (let end = 1; end < value.length; end++) {
          assert.throws(
            () => decodeAddressAssign(value.subarray(0, end)),
            capsuleError(/^ADDRESS_ASSIGN ends (inside|before)/),
          );
        }
      }),
    );
    const unique = fc.uniqueArray(entry, { selector: ({ requestId }) => requestId, minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(unique, (entries) => {
        const asked = entries.map((one) => ({ ...one, requestId: one.requestId + 1 }));
        assert.deepEqual(decodeAddressRequest(valueIn(encodeAddressRequest(asked))), asked);
      }),
    );
  });

  test("random bytes are entries or a ZgateError", () => {
    const likely = fc.array(fc.oneof(fc.constantFrom(0, 1, 4, 6, 32, 128), fc.nat(255)), { maxLength: 60 });
    fc.assert(
      fc.property(likely, (bytes) => {
        for (const decode of [decodeAddressAssign, decodeAddressRequest]) {
          try {
            decode(Uint8Array.from(bytes));
          } catch (error) {
            capsuleError(/^ADDRESS_/)(error);
          }
        }
      }),
    );
  });
});

function route(version: IpVersion, start: number, end: number, ipProtocol = 0): RouteEntry {
  return { version, start: [0, 0, 0, start], end: [0, 0, 0, end], ipProtocol };
}

describe("ROUTE_ADVERTISEMENT", () => {
  test("the bytes of two ranges, put in order", () => {
    const v4 = route(4, 0x0a32_0000, 0x0a32_00ff, 6);
    const v6: RouteEntry = {
      version: 6,
      start: [0xfd00_0000, 0, 0, 0],
      end: [0xfd00_0000, 0, 0, 0xffff],
      ipProtocol: 0,
    };
    const bytes = hex(
      "03 2c  04 0a320000 0a3200ff 06  06 fd000000000000000000000000000000 fd00000000000000000000000000ffff 00",
    );
    assert.deepEqual(encodeRouteAdvertisement([v6, v4]), bytes);
    assert.deepEqual(decodeRouteAdvertisement(bytes.subarray(2)), [v4, v6]);
    assert.deepEqual(decodeRouteAdvertisement(new Uint8Array(0)), []);
  });

  const wrong = [
    { name: "version 7", value: "07", message: "ROUTE_ADVERTISEMENT has the IP version 7 at byte 0: expected 4 or 6" },
    {
      name: "a cut range",
      value: "04 0a000000 0a0000ff",
      message: "ROUTE_ADVERTISEMENT ends inside the range at byte 0",
    },
    {
      name: "start behind end",
      value: "04 0a000001 0a000000 00",
      message: "ROUTE_ADVERTISEMENT has the range 10.0.0.1-10.0.0.0 protocol any, which starts behind its end",
    },
    {
      name: "IPv6 before IPv4",
      value: `06 ${"00".repeat(32)} 00 04 0a000000 0a000000 00`,
      message:
        "ROUTE_ADVERTISEMENT has 10.0.0.0-10.0.0.0 protocol any behind ::-:: protocol any: out of order, or they overlap",
    },
    {
      name: "protocol 17 before 6",
      value: "04 0a000000 0a000000 11 04 0b000000 0b000000 06",
      message:
        "ROUTE_ADVERTISEMENT has 11.0.0.0-11.0.0.0 protocol 6 behind 10.0.0.0-10.0.0.0 protocol 17: out of order, or they overlap",
    },
    {
      name: "two ranges that share an address",
      value: "04 0a000000 0a000001 06 04 0a000001 0a000002 06",
      message:
        "ROUTE_ADVERTISEMENT has 10.0.0.1-10.0.0.2 protocol 6 behind 10.0.0.0-10.0.0.1 protocol 6: out of order, or they overlap",
    },
    {
      name: "a protocol inside a range of all",
      value: "04 0a000000 0a0000ff 00 04 0a000010 0a000010 06",
      message:
        "ROUTE_ADVERTISEMENT has 10.0.0.16-10.0.0.16 protocol 6 and 10.0.0.0-10.0.0.255 protocol any, which overlap",
    },
  ];
  for (const { name, value, message } of wrong) {
    test(name, () => assert.throws(() => decodeRouteAdvertisement(hex(value)), capsuleError(message)));
  }

  test("neighbours may touch, and the same addresses may be there for two protocols", () => {
    const routes = [route(4, 1, 2, 6), route(4, 3, 4, 6), route(4, 1, 2, 17), route(6, 1, 2)];
    assert.deepEqual(decodeRouteAdvertisement(valueIn(encodeRouteAdvertisement(routes))), routes);
  });

  test("as many as fit one capsule, and no more", () => {
    const routes = Array.from({ length: MAX_CAPSULE_ROUTES }, (_, i) => route(6, 2 * i, 2 * i));
    assert.deepEqual(decodeRouteAdvertisement(valueIn(encodeRouteAdvertisement(routes))), routes);
    assert.throws(
      () => encodeRouteAdvertisement([...routes, route(6, 2 * MAX_CAPSULE_ROUTES, 2 * MAX_CAPSULE_ROUTES)]),
      capsuleError("ROUTE_ADVERTISEMENT has 1901 ranges: at most 1900 are possible"),
    );
  });

  test("what is encoded is what a naive check allows", () => {
    const small = fc.record({
      version: fc.constantFrom<IpVersion>(4, 6),
      start: fc.nat(12),
      size: fc.nat(3),
      protocol: fc.constantFrom(0, 6, 17),
    });
    fc.assert(
      fc.property(fc.array(small, { maxLength: 5 }), (items) => {
        const routes = items.map(({ version, start, size, protocol }) => route(version, start, start + size, protocol));
        const overlap = routes.some((a, i) =>
          routes.some(
            (b, j) =>
              i !== j &&
              a.version === b.version &&
              (a.ipProtocol === b.ipProtocol || a.ipProtocol === 0) &&
              a.start[3] <= b.end[3] &&
              b.start[3] <= a.end[3],
          ),
        );
        if (overlap) assert.throws(() => encodeRouteAdvertisement(routes), capsuleError(/overlap$/));
        else assert.equal(decodeRouteAdvertisement(valueIn(encodeRouteAdvertisement(routes))).length, routes.length);
      }),
    );
  });

  test("random bytes are routes or a ZgateError", () => {
    const likely = fc.array(fc.oneof(fc.constantFrom(0, 4, 6), fc.nat(255)), { maxLength: 80 });
    fc.assert(
      fc.property(likely, (bytes) => {
        try {
          decodeRouteAdvertisement(Uint8Array.from(bytes));
        } catch (error) {
          capsuleError(/^ROUTE_ADVERTISEMENT/)(error);
        }
      }),
    );
  });
});
