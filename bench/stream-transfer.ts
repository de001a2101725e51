/**
 * zgate's QUIC layer alone: plain bytes on one stream between two processes, with no TUN, no HTTP/3 and no
 * frames. The ceiling of the transport.
 *
 *   node bench/stream-transfer.ts server ADDRESS:PORT FOLDER             serves until SIGTERM; prints `ready`
 *   node bench/stream-transfer.ts client ADDRESS:PORT FOLDER up|down S   moves bytes for S seconds; prints JSON
 *
 * FOLDER has `relay.pem`, `bench.pem`, their keys and `ca.pem`. The client opens a stream and says with its first
 * byte which way the rest goes. Up: it writes, finishes, and the server answers with the count. Down: the server
 * writes until the client stops it.
 */
import { join } from "node:path";

import { openQuicEndpoint } from "../shared/native/addon.ts";
import { READ_END, WRITE_CLOSED } from "../shared/native/quic.ts";
import type { QuicStream, TlsMaterial } from "../shared/native/quic.ts";
import { loadTlsFiles } from "../shared/pki/tls-files.ts";
import { unixMs } from "../shared/units.ts";

const ALPN = ["zgate-bench"];
const UP = 1;
const DOWN = 2;
/** Bytes a write and a read: what the tunnel's slabs come to under load. */
const PIECE_BYTES = 64 * 1024;
/** The server's count of an upload, big-endian. */
const COUNT_BYTES = 8;

/** What the client prints. */
export interface StreamReport {
  readonly bytes: number;
  readonly seconds: number;
  /** User and system time of the client's process, QUIC thread included. */
  readonly cpuSeconds: number;
}

async function tlsOf(folder: string, name: string): Promise<TlsMaterial> {
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`), ca: join(folder, "ca.pem") };
  return (await loadTlsFiles({ ...files, keyExchange: "prefer-pq" }, unixMs(Date.now()))).material;
}

async function serve(address: string, folder: string): Promise<void> {
  const endpoint = openQuicEndpoint({ bind: address, alpn: ALPN, server: await tlsOf(folder, "relay") });
  endpoint.onConnection = (connection) => {
    connection.onStream = (stream) => void answer(stream);
  };
  process.once("SIGTERM", () => void endpoint.close(0, "").then(() => process.exit(0)));
  process.stdout.write("ready\n");
}

async function answer(stream: QuicStream): Promise<void> {
  const way = new Uint8Array(1);
  while (stream.read(way, 0, 1) === 0) await readable(stream);
  if (way[0] === DOWN) return pour(stream, () => false);
  const count = new Uint8Array(COUNT_BYTES);
  new DataView(count.buffer).setBigUint64(0, BigInt(await drain(stream, () => false)));
  stream.write(count, 0, count.length);
  stream.finish();
}

async function measure(address: string, folder: string, way: string, seconds: number): Promise<StreamReport> {
  const endpoint = openQuicEndpoint({ bind: "0.0.0.0:0", alpn: ALPN });
  const host = address.slice(0, address.lastIndexOf(":"));
  const stream = await (await endpoint.connect(address, host, await tlsOf(folder, "bench"))).openBidi();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const isOver = (): boolean => performance.now() - start >= seconds * 1000;
  stream.write(Uint8Array.of(way === "down" ? DOWN : UP), 0, 1);
  let bytes: number;
  if (way === "down") {
    bytes = await drain(stream, isOver);
    stream.stop(0);
  } else {
    await pour(stream, isOver);
    stream.finish();
    bytes = await readCount(stream);
  }
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await endpoint.close(0, "");
  return { bytes, seconds: elapsed, cpuSeconds: (user + system) / 1e6 };
}

/** Writes until `isOver`, or until the peer stops the stream. */
async function pour(stream: QuicStream, isOver: () => boolean): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  while (!isOver()) {
    const taken = stream.write(piece, 0, piece.length);
    if (taken === WRITE_CLOSED) return;
    if (taken === 0) await writable(stream);
  }
}

/** Reads until the end or until `isOver`, and counts the bytes. */
async function drain(stream: QuicStream, isOver: () => boolean): Promise<number> {
  const slab = new Uint8Array(PIECE_BYTES);
  let bytes = 0;
  while (!isOver()) {
    const read = stream.read(slab, 0, slab.length);
    if (read < 0) break;
    if (read === 0) await readable(stream);
    bytes += read;
  }
  return bytes;
}

async function readCount(stream: QuicStream): Promise<number> {
  const count = new Uint8Array(COUNT_BYTES + 1); // One more, so that the end can be read as well.
  let have = 0;
  for (;;) {
    const read = stream.read(count, have, count.length);
    if (read === READ_END && have === COUNT_BYTES) return Number(new DataView(count.buffer).getBigUint64(0));
    if (read < 0) throw new Error(`the server ended the stream after ${have} bytes of its count`);
    if (read === 0) await readable(stream);
    have += read;
  }
}

function readable(stream: QuicStream): Promise<void> {
  return new Promise((resolve) => (stream.onReadable = resolve));
}

function writable(stream: QuicStream): Promise<void> {
  return new Promise((resolve) => (stream.onWritable = resolve));
}

const [role, address = "", folder = "", way = "", seconds = ""] = process.argv.slice(2);
if (role === "server") {
  await serve(address, folder);
} else if (role === "client") {
  process.stdout.write(`${JSON.stringify(await measure(address, folder, way, Number(seconds)))}\n`);
}
