import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ZgateError } from "../errors.ts";
import { READ_END, READ_RESET, WRITE_CLOSED } from "../native/quic.ts";
import { encodeCapsule } from "./capsule.ts";
import { CapsuleChannel } from "./capsule-channel.ts";
import type { CapsuleStream } from "./capsule-channel.ts";
import { CAPSULE_ADDRESS_ASSIGN, CAPSULE_DATAGRAM, CAPSULE_QUEUE_BYTES, CAPSULE_TURN_READS } from "./constants.ts";

/** A stream that gives what it is told to, and takes writes while it is `open`. */
class Stream implements CapsuleStream {
  onReadable: (() => void) | undefined;
  onWritable: (() => void) | undefined;
  open = true;
  closed = false;
  readonly sent: number[] = [];
  reads = 0;
  /** What `readBody` returns when there is nothing more. */
  end = 0;
  readonly #pieces: Uint8Array[] = [];

  give(...pieces: readonly Uint8Array[]): void {
    this.#pieces.push(...pieces);
  }

  readBody(slab: Uint8Array, from: number): number {
    this.reads++;
    const piece = this.#pieces.shift();
    if (piece === undefined) return this.end;
    slab.set(piece, from);
    return piece.length;
  }

  writeBody(slab: Uint8Array, from: number, to: number): number {
    if (this.closed) return WRITE_CLOSED;
    if (!this.open) return 0;
    this.sent.push(...slab.subarray(from, to));
    return to - from;
  }
}

/** A channel, and what it said, in order. */
function channelOn(stream: Stream): { channel: CapsuleChannel; said: string[] } {
  const said: string[] = [];
  const channel = new CapsuleChannel(stream, {
    onCapsule: (type, value) => {
      if (value[0] === 255) throw new ZgateError("ZG_CAPSULE", "not this one");
      said.push(`${type}: ${value.join(" ")}`);
    },
    onEnd: (reason) => void said.push(`end: ${reason}`),
    onFault: ({ code, message }) => void said.push(`${code}: ${message}`),
  });
  return { channel, said };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const capsule = (...value: number[]): Uint8Array => encodeCapsule(CAPSULE_ADDRESS_ASSIGN, Uint8Array.from(value));
const unknown = (length: number): Uint8Array => encodeCapsule(0x2a, new Uint8Array(length));

describe("what comes", () => {
  const whole = Uint8Array.from([
    ...capsule(1, 2),
    ...unknown(5),
    ...encodeCapsule(CAPSULE_DATAGRAM, Uint8Array.of(3)),
  ]);
  const heard = ["1: 1 2", "0: 3"];

  test("capsules in any pieces", () => {
    fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 }), async (sizes) => {
        const stream = new Stream();
        let pieces = 0;
        for (let at = 0; at < whole.length; pieces++) {
          const size = sizes[pieces % sizes.length]!;
          stream.give(whole.subarray(at, at + size));
          at += size;
        }
        const { said } = channelOn(stream);
        for (let turns = 0; turns * CAPSULE_TURN_READS <= pieces; turns++) await turn();
        await turn();
        assert.deepEqual(said, heard);
      }),
    );
  });

  test("a stream that never stops leaves the others their turns", async () => {
    const stream = new Stream();
    stream.give(...Array.from({ length: 100 }, () => capsule(1)));
    const { said } = channelOn(stream);
    await turn();
    assert.equal(said.length, CAPSULE_TURN_READS);
    await turn();
    assert.equal(said.length, 2 * CAPSULE_TURN_READS);
  });

  for (const { name, pieces, end, last } of [
    { name: "an end between capsules", pieces: [whole], end: READ_END, last: "end: the peer ended the control stream" },
    { name: "a reset", pieces: [whole], end: READ_RESET, last: "end: the peer reset the control stream" },
    {
      name: "a reset inside a capsule",
      pieces: [whole, Uint8Array.of(1)],
      ...{ end: READ_RESET, last: "end: the peer reset the control stream" },
    },
    ...[1, 2, 3].map((length) => ({
      name: `an end ${length} bytes into a capsule`,
      pieces: [whole, capsule(1, 2).subarray(0, length)],
      ...{ end: READ_END, last: "ZG_CAPSULE: the control stream ended inside a capsule" },
    })),
    {
      name: "a capsule that its taker refuses",
      pieces: [whole, capsule(255), capsule(1)],
      ...{ end: READ_END, last: "ZG_CAPSULE: not this one" },
    },
    {
      name: "a value that is too long",
      pieces: [whole, Uint8Array.of(CAPSULE_ADDRESS_ASSIGN, 0x80, 0x02, 0, 0)],
      ...{
        end: READ_END,
        last: "ZG_CAPSULE: capsule type 1 has a value of 131072 bytes: at most 65543 are read",
      },
    },
  ]) {
    test(`${name} is told once, and is the last thing`, async () => {
      const stream = new Stream();
      stream.give(...pieces);
      stream.end = end;
      const { channel, said } = channelOn(stream);
      for (let turns = 0; turns < 4; turns++) await turn();
      const { reads } = stream;
      stream.onReadable?.();
      await turn();
      assert.deepEqual(said, [...heard, last]);
      assert.equal(stream.reads, reads, "nothing is read after it");
      assert.equal(channel.send(capsule(1)), false);
    });
  }

  test("random bytes are capsules, or ZG_CAPSULE", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 60 }), async (bytes) => {
        const stream = new Stream();
        stream.give(bytes);
        stream.end = READ_END;
        const { said } = channelOn(stream);
        await turn();
        assert.match(said.at(-1) ?? "", /^(end|ZG_CAPSULE): /);
      }),
    );
  });
});

describe("what goes", () => {
  test("waits for a peer that does not read, in order", () => {
    const stream = new Stream();
    const { channel } = channelOn(stream);
    stream.open = false;
    for (const value of [1, 2, 3]) assert.equal(channel.send(capsule(value)), true);
    assert.deepEqual(stream.sent, []);
    stream.open = true;
    stream.onWritable?.();
    assert.equal(channel.send(capsule(4)), true);
    assert.deepEqual(
      stream.sent,
      [1, 2, 3, 4].flatMap((value) => [...capsule(value)]),
    );
  });

  test("is refused when too much waits, and taken again when it does not", () => {
    const stream = new Stream();
    const { channel } = channelOn(stream);
    stream.open = false;
    const large = unknown(CAPSULE_QUEUE_BYTES / 2 - 5);
    assert.equal(2 * large.length, CAPSULE_QUEUE_BYTES);
    assert.deepEqual([channel.send(large), channel.send(large), channel.send(capsule())], [true, true, false]);
    stream.open = true;
    stream.onWritable?.();
    assert.equal(channel.send(capsule()), true);
    assert.equal(stream.sent.length, 2 * large.length + 2);
  });

  test("is refused when the peer stopped the stream", () => {
    const stream = new Stream();
    const { channel } = channelOn(stream);
    stream.closed = true;
    assert.deepEqual([channel.send(capsule(1)), channel.send(capsule(2))], [false, false]);
  });

  test("is refused when the peer stopped the stream while capsules waited", () => {
    const stream = new Stream();
    const { channel } = channelOn(stream);
    stream.open = false;
    assert.equal(channel.send(capsule(1)), true);
    stream.closed = true;
    stream.onWritable?.();
    assert.equal(channel.send(capsule(2)), false);
  });
});
