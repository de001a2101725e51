/** Two endpoints on loopback with one connection between them, and whole-stream reads and writes, for tests. */
import type { TestContext } from "node:test";
import { openQuicEndpoint } from "./addon.ts";
import type {
  EndpointOptions,
  QuicConnection,
  QuicEndpoint,
  QuicStream,
  TlsMaterial,
  TransportOptions,
} from "./quic.ts";
import { READ_END, READ_RESET, WRITE_CLOSED } from "./quic.ts";
import { material, TestAuthority } from "./test-certificates.ts";

const SLAB_BYTES = 64 * 1024;

export interface TestTls {
  readonly authority: TestAuthority;
  readonly server: TlsMaterial;
  readonly client: TlsMaterial;
}

let made: Promise<TestTls> | undefined;

/** One CA with a leaf for each side, made once a process. */
export function testTls(): Promise<TestTls> {
  made ??= makeTls();
  return made;
}

async function makeTls(): Promise<TestTls> {
  const authority = await TestAuthority.root("test CA");
  const server = material(await authority.leaf("relay.test"), authority);
  const client = material(await authority.leaf("client-1"), authority);
  return { authority, server, client };
}

/** An endpoint on a free loopback port that is closed after the test. */
export function openTestEndpoint(t: TestContext, options: Partial<EndpointOptions> = {}): QuicEndpoint {
  const endpoint = openQuicEndpoint({ bind: "127.0.0.1:0", alpn: ["h3"], ...options });
  t.after(() => endpoint.close(0, "test done"));
  return endpoint;
}

export interface TestPair {
  readonly server: QuicEndpoint;
  readonly client: QuicEndpoint;
  /** The connection as the server has it, and as the client has it. */
  readonly atServer: QuicConnection;
  readonly atClient: QuicConnection;
}

export async function openPair(t: TestContext, transport: TransportOptions = {}): Promise<TestPair> {
  const tls = await testTls();
  const server = openTestEndpoint(t, { server: tls.server, transport });
  const client = openTestEndpoint(t, { transport });
  const [atServer, atClient] = await Promise.all([
    nextConnection(server),
    client.connect(server.localAddress, "relay.test", tls.client),
  ]);
  return { server, client, atServer, atClient };
}

export function nextConnection(endpoint: QuicEndpoint): Promise<QuicConnection> {
  return new Promise((resolve) => {
    endpoint.onConnection = resolve;
  });
}

export function nextStream(connection: QuicConnection): Promise<QuicStream> {
  return new Promise((resolve) => {
    connection.onStream = resolve;
  });
}

/** A bidirectional stream at both ends; a byte has to be written before the peer knows of it. */
export async function openBoth(
  pair: TestPair,
  first: Uint8Array = Uint8Array.of(0),
): Promise<{ near: QuicStream; far: QuicStream }> {
  const accepted = nextStream(pair.atServer);
  const near = await pair.atClient.openBidi();
  await writeAll(near, first);
  return { near, far: await accepted };
}

export function readable(stream: QuicStream): Promise<void> {
  return new Promise((resolve) => {
    stream.onReadable = resolve;
  });
}

export function writable(stream: QuicStream): Promise<void> {
  return new Promise((resolve) => {
    stream.onWritable = resolve;
  });
}

/** Reads to the end. `reset` tells how it ended. */
export async function readAll(stream: QuicStream): Promise<{ bytes: Uint8Array; reset: boolean }> {
  const slab = new Uint8Array(SLAB_BYTES);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const count = stream.read(slab, 0, slab.length);
    if (count === READ_END || count === READ_RESET) {
      return { bytes: Buffer.concat(pieces), reset: count === READ_RESET };
    }
    if (count === 0) await readable(stream);
    else pieces.push(slab.slice(0, count));
  }
}

/** Reads exactly `length` bytes. */
export async function readBytes(stream: QuicStream, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = stream.read(bytes, done, length);
    if (count < 0) throw new Error(`the stream ended (${count}) after ${done} of ${length} bytes`);
    if (count === 0) await readable(stream);
    done += count;
  }
  return bytes;
}

/** Writes in pieces of a slab; false when the stream was closed meanwhile. */
export async function writeAll(stream: QuicStream, bytes: Uint8Array): Promise<boolean> {
  for (let from = 0; from < bytes.length;) {
    const taken = stream.write(bytes, from, Math.min(bytes.length, from + SLAB_BYTES));
    if (taken === WRITE_CLOSED) return false;
    if (taken === 0) await writable(stream);
    from += taken;
  }
  return true;
}

/** Bytes that tell their own place. */
export function patterned(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 17) & 0xff;
  return bytes;
}
