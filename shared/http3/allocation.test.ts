/** The bulk path allocates nothing per call: what `readBody`, `writeBody` and `writeBodyRuns` promise. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { allocatedPerRun } from "../allocation.ts";
import type { QuicStream } from "../native/quic.ts";
import { DATA_HEADROOM } from "./constants.ts";
import { MessageReader } from "./message-reader.ts";
import { MessageWriter } from "./message-writer.ts";
import { hex } from "./test-world.ts";

/** Less than the smallest object: nothing, but for what the optimising compiler leaves. */
const NOTHING = 1;

const BODY_BYTES = 300;

/** A stream that takes every write, and reads as a response and then DATA frames without end. */
function endlessStream(): QuicStream {
  const head = hex("01 03 0000 d9 # HEADERS, :status 200");
  const dataHeader = hex("00 412c # DATA, 300 bytes");
  let header = head;
  let headerAt = 0;
  let bodyLeft = 0;
  return {
    id: 0,
    direction: "bidi",
    resetCode: -1,
    stopCode: -1,
    onReadable: undefined,
    onWritable: undefined,
    read(slab, from, to) {
      if (bodyLeft > 0) {
        const size = Math.min(bodyLeft, to - from);
        bodyLeft -= size;
        return size;
      }
      slab[from] = header[headerAt++]!;
      if (headerAt === header.length) {
        bodyLeft = header === head ? 0 : BODY_BYTES;
        header = dataHeader;
        headerAt = 0;
      }
      return 1;
    },
    write: (_slab, from, to) => to - from,
    writev: () => 1,
    finish() {},
    reset() {},
    stop() {},
  };
}

test("readBody allocates nothing", () => {
  const reader = new MessageReader(endlessStream(), "client", 1000);
  reader.readSection("response");
  reader.beginBody({ contentLength: -1, trailers: false });
  const slab = new Uint8Array(1000);
  assert.equal(reader.readBody(slab, 0, slab.length), slab.length);
  assert.ok(allocatedPerRun(() => reader.readBody(slab, 0, slab.length)) < NOTHING);
});

test("writeBody and writeBodyRuns allocate nothing", () => {
  const writer = new MessageWriter(endlessStream(), () => {});
  writer.sendMessage([[":status", "200"]], undefined);
  const slab = new Uint8Array(70_000);
  const ranges = Uint32Array.of(0, 0, 100, 300, 400, 1000);
  assert.equal(writer.writeBodyRuns(slab, ranges, 3), 800);
  assert.ok(allocatedPerRun(() => writer.writeBody(slab, DATA_HEADROOM, slab.length)) < NOTHING);
  assert.ok(allocatedPerRun(() => writer.writeBodyRuns(slab, ranges, 3)) < NOTHING);
});
