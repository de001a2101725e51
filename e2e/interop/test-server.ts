/** A small HTTP/3 server on our library, with what the scenarios of `aioquic_client.py` ask for. */
import { READ_END } from "../../shared/native/quic.ts";
import type { QuicConnection } from "../../shared/native/quic.ts";
import { Http3Connection } from "../../shared/http3/connection.ts";
import { DATAGRAM_HEADROOM, DATA_HEADROOM } from "../../shared/http3/constants.ts";
import type { Fields } from "../../shared/http3/fields.ts";
import { HTTP3_CODE } from "../../shared/http3/spec.ts";
import type { Http3Stream } from "../../shared/http3/stream.ts";
import { clientIdentity } from "../../shared/pki/identity.ts";

/** Bytes that are echoed at once. */
const SLAB_BYTES = 64 * 1024;

/** Serves one connection until it ends. */
export function serve(quic: QuicConnection): void {
  const connection = new Http3Connection(quic, "server");
  connection.onRequest = (stream) => answer(connection, stream);
}

function answer(connection: Http3Connection, stream: Http3Stream): void {
  switch (`${stream.field(":method")} ${stream.field(":path")}`) {
    case "GET /hello":
      return stream.respond(200, [["content-length", "6"]], { body: Buffer.from("hello\n"), end: true });
    case "GET /identity": {
      const [leaf] = connection.quic.peerChainDer;
      const name = leaf === undefined ? "nobody" : clientIdentity(leaf).name;
      return stream.respond(200, [], { body: Buffer.from(name), end: true });
    }
    case "GET /headers":
      return stream.respond(200, largeFields(stream), { end: true });
    case "GET /goaway":
      connection.goaway();
      return stream.respond(204, [], { end: true });
    case "CONNECT /lane/0":
      stream.onDatagram = (slab, from, to) => echoDatagram(stream, slab, from, to);
      stream.respond(200);
      return echoBody(stream);
    case "POST /echo":
      stream.respond(200);
      return echoBody(stream);
    default:
      return stream.respond(404, [], { end: true });
  }
}

function largeFields(stream: Http3Stream): Fields {
  return stream.request
    .filter(([name]) => name.startsWith("x-large"))
    .map(([name, value]) => [`echo-${name}`, value] as const);
}

function echoDatagram(stream: Http3Stream, slab: Uint8Array, from: number, to: number): void {
  const answer = new Uint8Array(DATAGRAM_HEADROOM + to - from);
  answer.set(slab.subarray(from, to), DATAGRAM_HEADROOM);
  stream.sendDatagram(answer, DATAGRAM_HEADROOM, answer.length);
}

/** What is read is written before more is read: a client that does not read stops what it can send. */
function echoBody(stream: Http3Stream): void {
  const slab = new Uint8Array(SLAB_BYTES);
  let end = DATA_HEADROOM;
  const pump = (): void => {
    for (;;) {
      if (end > DATA_HEADROOM) {
        const taken = stream.writeBody(slab, DATA_HEADROOM, end);
        if (taken === 0) return;
        if (taken < 0) return stream.stop(HTTP3_CODE.H3_REQUEST_CANCELLED);
        end = DATA_HEADROOM;
      }
      const got = stream.readBody(slab, DATA_HEADROOM, slab.length);
      if (got === 0) return;
      if (got < 0) return got === READ_END ? stream.finish() : stream.reset(HTTP3_CODE.H3_REQUEST_CANCELLED);
      end = DATA_HEADROOM + got;
    }
  };
  stream.onReadable = pump;
  stream.onWritable = pump;
  pump();
}
