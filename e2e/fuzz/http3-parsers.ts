/** HTTP/3 and QPACK. */
import assert from "node:assert/strict";
import { ControlStream } from "../../shared/http3/control-stream.ts";
import { malformation } from "../../shared/http3/field-rules.ts";
import type { Fields } from "../../shared/http3/fields.ts";
import { READ_YIELD, READY } from "../../shared/http3/frame-reader.ts";
import { decodeHuffman } from "../../shared/http3/huffman.ts";
import { bodyRules } from "../../shared/http3/message-kind.ts";
import { MessageReader } from "../../shared/http3/message-reader.ts";
import { decodeFieldSection } from "../../shared/http3/qpack-decoder.ts";
import { encodeFieldSection } from "../../shared/http3/qpack-encoder.ts";
import { checkEncoderInstructions, DecoderInstructions } from "../../shared/http3/qpack-instructions.ts";
import { encodeSettings, parseSettings } from "../../shared/http3/settings.ts";
import { FakePipe } from "../../shared/native/fake-pipe.ts";
import { FakeStream } from "../../shared/native/fake-stream.ts";
import { MAX_VARINT } from "../../shared/wire/varint.ts";
import { assertSameOutcome } from "./parser.ts";
import type { Parser } from "./parser.ts";

/** More than any field section that is read may have, in the bytes of RFC 9114 section 4.2.2. */
const FIELD_SECTION_BYTES = 16 * 1024;
/** More than any input. */
const WINDOW_BYTES = 1024 * 1024;
/** SETTINGS has a type and a length of one byte each. */
const SETTINGS_HEADER = 2;

const FIELD_NAMES = [":method", "CONNECT", ":protocol", ":path", ":scheme", "https", ":authority", ":status", "200"];

export const HTTP3_PARSERS: readonly Parser[] = [
  { name: "field-section", parse: readFieldSection, tokens: FIELD_NAMES },
  { name: "huffman", parse: (bytes) => void decodeHuffman(bytes, 0, bytes.length) },
  { name: "encoder-instructions", parse: (bytes) => checkEncoderInstructions(bytes, 0, bytes.length) },
  { name: "decoder-instructions", parse: readDecoderInstructions },
  { name: "settings", parse: readSettings },
  {
    name: "request",
    parse: (bytes) => {
      assertSameOutcome(
        () => readRequest(bytes, []),
        () => readRequest(bytes, [1, 2, 7]),
      );
    },
    tokens: [...FIELD_NAMES, "content-length", "te", "trailers", "connection"],
  },
  {
    name: "control-stream",
    parse: (bytes) => {
      for (const role of ["client", "server"] as const) {
        assertSameOutcome(
          () => readControl(role, bytes, []),
          () => readControl(role, bytes, [1, 2, 7]),
        );
      }
    },
  },
];

function readFieldSection(bytes: Uint8Array): void {
  const fields = decodeFieldSection(bytes, FIELD_SECTION_BYTES);
  if (fields === undefined) return;
  assert.deepEqual(decodeFieldSection(encodeFieldSection(fields), FIELD_SECTION_BYTES), fields);
  for (const kind of ["request", "response", "trailer"] as const) malformation(kind, fields);
}

function readDecoderInstructions(bytes: Uint8Array): void {
  assertSameOutcome(
    () => new DecoderInstructions().check(bytes, 0, bytes.length),
    () => {
      const instructions = new DecoderInstructions();
      for (let at = 0; at < bytes.length; at++) instructions.check(bytes, at, at + 1);
    },
  );
}

function readSettings(bytes: Uint8Array): void {
  const settings = parseSettings(bytes);
  // What is above the integers that we write is read as the nearest double.
  if (Object.values(settings).some((value) => value > MAX_VARINT && value !== Infinity)) return;
  assert.deepEqual(parseSettings(encodeSettings(settings).subarray(SETTINGS_HEADER)), settings);
}

/** What is read of a request and its body. All bytes are there: a reader that yields has only had its turn. */
function readRequest(bytes: Uint8Array, pieces: readonly number[]): { fields: Fields; body: string } | string {
  const reader = new MessageReader(streamOf(bytes, pieces), "server", FIELD_SECTION_BYTES);
  let step = READ_YIELD;
  while (step === READ_YIELD) step = reader.readSection("request");
  if (step !== READY) return `head: ${step}`;
  const { fields } = reader;
  reader.beginBody(bodyRules(fields, 0, fields));
  const slab = Buffer.alloc(bytes.length + 1);
  let length = 0;
  do {
    step = reader.readBody(slab, length, slab.length);
    if (step > 0) length += step;
  } while (step > 0 || step === READ_YIELD);
  return { fields, body: `${slab.toString("hex", 0, length)} ${step}` };
}

/** `role` is ours. */
function readControl(role: "client" | "server", bytes: Uint8Array, pieces: readonly number[]): unknown {
  const events: unknown[] = [];
  const control = new ControlStream(streamOf(bytes, pieces), role, {
    onSettings: (settings) => events.push(settings),
    onGoaway: (id) => events.push(id),
  });
  while (control.read() === READ_YIELD);
  return events;
}

/** A stream that has received all of `bytes`, in such pieces, and its end. */
function streamOf(bytes: Uint8Array, pieces: readonly number[]): FakeStream {
  const schedule = (_delayMs: number, task: () => void): (() => void) => {
    task();
    return () => {};
  };
  const sizes = { highWater: WINDOW_BYTES, receiveWindow: WINDOW_BYTES };
  const pipe = new FakePipe({ schedule, latencyMs: 0, pieces, ...sizes }, () => {});
  if (bytes.length > 0) pipe.write(bytes);
  pipe.finish();
  return new FakeStream(0, "bidi", pipe, undefined);
}
