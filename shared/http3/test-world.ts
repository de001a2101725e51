/** What the tests of this folder share: two HTTP/3 ends on a fake connection, or one end and a raw peer. */
import assert from "node:assert/strict";
import { FakeClock } from "../native/fake-clock.ts";
import { fakeQuicPair, type FakeQuicConnection, type FakeQuicOptions, type FakeQuicPair } from "../native/fake-quic.ts";
import type { QuicStream } from "../native/quic.ts";
import { Http3Connection, type Http3Limits } from "./connection.ts";
import { DATA_HEADROOM } from "./constants.ts";
import type { Fields } from "./fields.ts";
import type { Http3Stream } from "./stream.ts";

export const CONNECT: Fields = [
  [":method", "CONNECT"],
  [":protocol", "zgate-lane"],
  [":scheme", "https"],
  [":authority", "relay.example:4433"],
  [":path", "/lane/0"],
];

export const GET: Fields = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "relay.example"],
  [":path", "/hello"],
];

export interface World {
  readonly clock: FakeClock;
  readonly client: Http3Connection;
  readonly server: Http3Connection;
  /** What is below them. */
  readonly pair: FakeQuicPair;
}

export function world(options: FakeQuicOptions = {}, limits: Partial<Http3Limits> = {}): World {
  const clock = new FakeClock();
  const pair = fakeQuicPair({ schedule: clock.schedule, latencyMs: 5, ...options });
  const http3 = { schedule: clock.schedule, limits };
  return {
    clock,
    pair,
    client: new Http3Connection(pair.client, "client", http3),
    server: new Http3Connection(pair.server, "server", http3),
  };
}

export interface HalfWorld {
  readonly clock: FakeClock;
  readonly ours: Http3Connection;
  readonly peer: FakeQuicConnection;
  /** Streams that our side opened, in that order. */
  readonly opened: QuicStream[];
}

/** Our side as `role`, against a peer that sends whatever the test says. */
export function halfWorld(
  role: "client" | "server",
  options: FakeQuicOptions = {},
  limits: Partial<Http3Limits> = {},
): HalfWorld {
  const clock = new FakeClock();
  const pair = fakeQuicPair({ schedule: clock.schedule, latencyMs: 5, ...options });
  const peer = role === "client" ? pair.server : pair.client;
  const opened: QuicStream[] = [];
  peer.onStream = (stream) => opened.push(stream);
  const ours = new Http3Connection(role === "client" ? pair.client : pair.server, role, {
    schedule: clock.schedule,
    limits,
  });
  return { clock, ours, peer, opened };
}

/** Runs the clock until the promise settles. */
export async function during<T>(clock: FakeClock, promise: Promise<T>): Promise<T> {
  const state = { settled: false };
  const mark = (): void => void (state.settled = true);
  promise.then(mark, mark);
  for (let i = 0; i < 100_000 && !state.settled; i++) await clock.advance(1);
  assert.ok(state.settled, "nothing settled within 100 seconds");
  return promise;
}

export interface Body {
  readonly bytes: Uint8Array;
  /** READ_END or READ_RESET. */
  readonly final: number;
}

/** Collects a body until its end. */
export function body(stream: Http3Stream): Promise<Body> {
  return new Promise((resolve) => {
    const parts: Uint8Array[] = [];
    const slab = new Uint8Array(1000);
    const read = (): void => {
      for (;;) {
        const got = stream.readBody(slab, 7, slab.length);
        if (got === 0) return;
        if (got < 0) return resolve({ bytes: Uint8Array.from(Buffer.concat(parts)), final: got });
        parts.push(slab.slice(7, 7 + got));
      }
    };
    stream.onReadable = read;
    read();
  });
}

/** Writes all of `bytes` in DATA frames of `piece` bytes, then finishes. */
export function sendAll(stream: Http3Stream, bytes: Uint8Array, piece: number): void {
  const slab = new Uint8Array(DATA_HEADROOM + piece);
  let at = 0;
  const write = (): void => {
    while (at < bytes.length) {
      const part = bytes.subarray(at, at + piece);
      slab.set(part, DATA_HEADROOM);
      const taken = stream.writeBody(slab, DATA_HEADROOM, DATA_HEADROOM + part.length);
      if (taken <= 0) return;
      at += taken;
    }
    stream.finish();
  };
  stream.onWritable = write;
  write();
}

/** Bytes that tell a place from another. */
export function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
}

/** Bytes from hexadecimal; blanks, and what stands behind `#` in a line, are notes. */
export function hex(text: string): Uint8Array {
  const digits = text.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, "");
  assert.match(digits, /^([0-9a-f]{2})*$/);
  return Uint8Array.from(Buffer.from(digits, "hex"));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
