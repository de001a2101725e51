/**
 * Whatever bytes a peer sends, on whatever streams, in whatever pieces: nothing throws out of the event loop,
 * and the connection either goes on serving or is closed with a code of the RFCs.
 */
import { encodeVarint, varintSize } from "../wire/varint.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFieldSection } from "./qpack-encoder.ts";
import { http3CodeName } from "./spec.ts";
import { CONNECT, GET, body, halfWorld } from "./test-world.ts";

type Bytes = readonly number[];

const someBytes = (maxLength: number): fc.Arbitrary<Bytes> => fc.uint8Array({ maxLength }).map((bytes) => [...bytes]);

function varint(value: number): Bytes {
  const bytes = new Uint8Array(varintSize(value));
  encodeVarint(value, bytes, 0);
  return [...bytes];
}

const frame = (type: number, payload: Bytes): Bytes => [...varint(type), ...varint(payload.length), ...payload];

/** Frames that are right, frames of any type with any payload, and bytes that are no frames. */
const piece: fc.Arbitrary<Bytes> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(GET, CONNECT).map((fields) => frame(1, [...encodeFieldSection(fields)])) },
  { weight: 2, arbitrary: fc.constant(frame(1, [...encodeFieldSection([[":status", "200"]])])) },
  { weight: 3, arbitrary: someBytes(40).map((payload) => frame(0, payload)) },
  { weight: 2, arbitrary: fc.constant(frame(4, [])) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(70), someBytes(10)).map(([type, payload]) => frame(type, payload)) },
  { weight: 1, arbitrary: someBytes(12) },
);

interface Scripted {
  readonly kind: "uni" | "bidi";
  readonly type: number;
  readonly pieces: readonly Bytes[];
  readonly end: "open" | "finish" | "reset";
}

const scripted: fc.Arbitrary<Scripted> = fc.record({
  kind: fc.constantFrom("uni", "bidi"),
  type: fc.constantFrom(0, 0, 0, 1, 2, 3, 0x21, 0x4000),
  pieces: fc.array(piece, { minLength: 1, maxLength: 6 }),
  end: fc.constantFrom("open", "finish", "reset"),
});

for (const role of ["server", "client"] as const) {
  test(`our ${role} stands whatever a peer sends`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(scripted, { minLength: 1, maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 3 }),
        fc.array(someBytes(12), { maxLength: 3 }),
        async (scripts, pieces, datagrams) => {
          const { clock, ours, peer, opened } = halfWorld(role, { pieces });
          ours.onRequest = (stream) => {
            stream.respond(200);
            void body(stream);
          };
          if (role === "client") void ours.request(GET, { end: true }).then(body, () => {});
          await clock.advance(20);
          const answered = opened.find(({ direction }) => direction === "bidi");
          for (const script of scripts) {
            const { kind, type, end } = script;
            const asked = kind === "bidi" && role === "client" ? answered : undefined;
            const stream = asked ?? (await (kind === "uni" ? peer.openUni() : peer.openBidi()));
            const bytes = Uint8Array.from([...(kind === "uni" ? varint(type) : []), ...script.pieces.flat()]);
            if (bytes.length > 0) stream.write(bytes, 0, bytes.length);
            if (end === "finish") stream.finish();
            if (end === "reset") clock.schedule(30, () => stream.reset(0x10c));
          }
          for (const datagram of datagrams) peer.sendDatagram(Uint8Array.from(datagram), 0, datagram.length);
          await clock.advance(2000);
          ours.close(0x100, "");
          await clock.advance(20);
          const { code, source } = await peer.closed;
          assert.equal(source, "peer-application");
          assert.match(http3CodeName(code), /^(H3|QPACK)_/);
        },
      ),
      { numRuns: 300 },
    );
  });
}
