import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Http3Error } from "./fault.ts";
import { encodeSettings, parseSettings, type Http3Settings } from "./settings.ts";
import { hex, toHex } from "./test-world.ts";

const DEFAULTS: Http3Settings = {
  maxFieldSectionSize: Infinity,
  qpackMaxTableCapacity: 0,
  qpackBlockedStreams: 0,
  enableConnectProtocol: false,
  h3Datagram: false,
};

// oxfmt-ignore
const GOOD: readonly [what: string, payload: string, expected: Partial<Http3Settings>][] = [
  ["nothing", "", {}],
  ["all that we know", "01 5000  06 8000ffff  07 10  08 01  33 01", { qpackMaxTableCapacity: 4096, maxFieldSectionSize: 65_535, qpackBlockedStreams: 16, enableConnectProtocol: true, h3Datagram: true }],
  ["flags that are off", "08 00  33 00", {}],
  ["grease, twice", "21 05  21 06  40ff 7fff", {}],
  ["two large unknown identifiers that are one double", "ffffffffffffffff 00  fffffffffffffffe 00", {}],
];

for (const [what, payload, expected] of GOOD) {
  test(`SETTINGS: ${what}`, () => assert.deepEqual(parseSettings(hex(payload)), { ...DEFAULTS, ...expected }));
}

// oxfmt-ignore
const BAD: readonly [what: string, payload: string, message: string][] = [
  ["an identifier without a value", "06", "H3_FRAME_ERROR: a SETTINGS frame ends inside a setting"],
  ["a value that is cut", "06 80 00", "H3_FRAME_ERROR: a SETTINGS frame ends inside a setting"],
  ["a known setting twice", "06 01 06 01", "H3_SETTINGS_ERROR: setting 0x6 was sent twice"],
  ["HTTP/2 SETTINGS_ENABLE_PUSH", "02 00", "H3_SETTINGS_ERROR: setting 0x2 is a setting of HTTP/2 (RFC 9114 section 7.2.4.1)"],
  ["HTTP/2 MAX_CONCURRENT_STREAMS", "03 01", "H3_SETTINGS_ERROR: setting 0x3 is a setting of HTTP/2 (RFC 9114 section 7.2.4.1)"],
  ["ENABLE_CONNECT_PROTOCOL 2", "08 02", "H3_SETTINGS_ERROR: setting 0x8 is 2, expected 0 or 1"],
  ["H3_DATAGRAM 2", "33 02", "H3_SETTINGS_ERROR: setting 0x33 is 2, expected 0 or 1"],
];

for (const [what, payload, message] of BAD) {
  test(`SETTINGS refused: ${what}`, () =>
    assert.throws(() => parseSettings(hex(payload)), { scope: "connection", message }));
}

test("our SETTINGS frame, byte by byte", () => {
  const frame = encodeSettings({
    ...DEFAULTS,
    maxFieldSectionSize: 16_384,
    enableConnectProtocol: true,
    h3Datagram: true,
  });
  assert.equal(
    toHex(frame),
    toHex(
      hex(`04 0d          # SETTINGS, 13 bytes
           01 00          # QPACK_MAX_TABLE_CAPACITY
           07 00          # QPACK_BLOCKED_STREAMS
           08 01          # ENABLE_CONNECT_PROTOCOL
           33 01          # H3_DATAGRAM
           06 80004000    # MAX_FIELD_SECTION_SIZE
      `),
    ),
  );
});

const settings = fc.record({
  maxFieldSectionSize: fc.oneof(fc.maxSafeNat(), fc.constant(Infinity)),
  qpackMaxTableCapacity: fc.maxSafeNat(),
  qpackBlockedStreams: fc.maxSafeNat(),
  enableConnectProtocol: fc.boolean(),
  h3Datagram: fc.boolean(),
});

/** The payload of a frame of up to 63 bytes. */
const payloadOf = (frame: Uint8Array): Uint8Array => frame.subarray(2);

test("settings come back as they were encoded; cut short they are shorter or an error", () => {
  fc.assert(
    fc.property(settings, (sent) => {
      const payload = payloadOf(encodeSettings(sent));
      assert.deepEqual(parseSettings(payload), { ...sent });
      for (let cut = 0; cut < payload.length; cut++) parsesOrFails(payload.subarray(0, cut));
    }),
  );
});

test("random bytes are settings or an Http3Error", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), parsesOrFails));
});

function parsesOrFails(payload: Uint8Array): void {
  try {
    parseSettings(payload);
  } catch (thrown) {
    assert.ok(thrown instanceof Http3Error);
  }
}
