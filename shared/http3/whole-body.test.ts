import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { READ_END, READ_RESET } from "../native/quic.ts";
import { readWholeBody } from "./whole-body.ts";
import type { BodySource } from "./whole-body.ts";

/** Gives its pieces one a read, with a pause (0) before each, and then `end`. */
class Pieces implements BodySource {
  onReadable: (() => void) | undefined;
  readonly #pieces: Uint8Array[];
  readonly #end: number;
  #paused = false;

  constructor(pieces: readonly Uint8Array[], end: number) {
    this.#pieces = [...pieces];
    this.#end = end;
  }

  readBody(slab: Uint8Array, from: number, to: number): number {
    this.#paused = !this.#paused;
    if (this.#paused) {
      setImmediate(() => this.onReadable?.());
      return 0;
    }
    const piece = this.#pieces[0];
    if (piece === undefined) return this.#end;
    const taken = piece.subarray(0, to - from);
    slab.set(taken, from);
    if (taken.length === piece.length) this.#pieces.shift();
    else this.#pieces[0] = piece.subarray(taken.length);
    return taken.length;
  }
}

test("whatever the pieces are, the body is all of them, or nothing when it is above the limit", async () => {
  const piece = fc.uint8Array({ minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), fc.nat(100), async (pieces, limit) => {
      const whole = Buffer.concat(pieces);
      const body = await readWholeBody(new Pieces(pieces, READ_END), limit);
      if (whole.length > limit) assert.equal(body, undefined);
      else assert.deepEqual(Buffer.from(body ?? []), whole);
    }),
    { numRuns: 100 },
  );
});

test("a reset is an error", async () => {
  await assert.rejects(readWholeBody(new Pieces([Uint8Array.of(1)], READ_RESET), 10), { code: "ZG_HTTP3" });
});
