/**
 * The enrolment service on a TCP port: TLS 1.3 only, one small request a connection, everything bounded. Client
 * certificates are asked for and not demanded: a new machine has none yet.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { Server } from "node:https";
import type { AddressInfo } from "node:net";
import { TLSSocket } from "node:tls";
import type { SecureContextOptions } from "node:tls";
import type { HostPort } from "../config/host-port.ts";
import { messageOf, ZgateError } from "../errors.ts";
import type { TlsMaterial } from "../native/quic.ts";
import { monotonicMs } from "../units.ts";
import { ENROLMENT_TIMEOUT_MS, MAX_ENROLMENT_CONNECTIONS, MAX_REQUEST_BYTES } from "./constants.ts";
import type { EnrolmentAnswer, EnrolmentService } from "./enrolment-service.ts";
import { clientIdentity } from "./identity.ts";
import type { Identity } from "./identity.ts";
import { TLS_GROUPS } from "./tls-groups.ts";

/** A relay's certificate and key, in which the name must be that tokens say, and the CAs that clients may be of. */
export type EnrolmentTls = Omit<TlsMaterial, "crlPem">;

export interface EnrolmentServerOptions {
  readonly listen: HostPort;
  readonly service: EnrolmentService;
  readonly tls: EnrolmentTls;
}

export interface EnrolmentServer {
  readonly address: HostPort;
  /** Connections from now on use this. Throws and changes nothing when it is wrong. */
  setTls(tls: EnrolmentTls): void;
  /** Stops listening and ends connections. */
  close(): Promise<void>;
}

/** Throws `ZG_TCP` when it cannot listen. */
export async function serveEnrolment(options: EnrolmentServerOptions): Promise<EnrolmentServer> {
  const { listen, service } = options;
  const server = createServer(
    {
      ...contextOf(options.tls),
      requestCert: true,
      rejectUnauthorized: false,
      headersTimeout: ENROLMENT_TIMEOUT_MS,
      requestTimeout: ENROLMENT_TIMEOUT_MS,
      handshakeTimeout: ENROLMENT_TIMEOUT_MS,
      maxHeaderSize: MAX_REQUEST_BYTES,
    },
    (request, response) => {
      answer(service, request)
        .then((result) => send(response, result))
        // The peer went away, or its request was too large and its socket is gone.
        .catch(() => request.destroy());
    },
  );
  server.maxConnections = MAX_ENROLMENT_CONNECTIONS;
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      const reason = `the enrolment service cannot listen on ${listen.host} port ${listen.port}: ${messageOf(error)}`;
      reject(new ZgateError("ZG_TCP", reason, { cause: error }));
    });
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    address: addressOf(server),
    setTls: (tls) => server.setSecureContext(contextOf(tls)),
    close: async () => await close(server),
  };
}

function contextOf(tls: EnrolmentTls): SecureContextOptions {
  const { certificatePem: cert, privateKeyPem: key, caPem: ca, keyExchange } = tls;
  return { cert, key, ca, minVersion: "TLSv1.3", ecdhCurve: TLS_GROUPS[keyExchange] };
}

async function answer(service: EnrolmentService, request: IncomingMessage): Promise<EnrolmentAnswer> {
  const body = await readBody(request);
  if (body === undefined) return { status: 413, body: { error: "the request is too large" } };
  return await service.handle(
    {
      method: request.method ?? "",
      path: request.url ?? "",
      body,
      source: request.socket.remoteAddress ?? "0.0.0.0",
      peer: peerOf(request),
    },
    new Date(),
    monotonicMs(performance.now()),
  );
}

function peerOf(request: IncomingMessage): Identity | undefined {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const leaf = socket.getPeerX509Certificate()?.raw;
  if (leaf === undefined) return undefined;
  try {
    return clientIdentity(leaf);
  } catch {
    return undefined;
  }
}

/** Undefined when it is larger than a request may be. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    length += chunk.length;
    if (length > MAX_REQUEST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString("utf8");
}

function send(response: ServerResponse, { status, body }: EnrolmentAnswer): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", connection: "close" });
  response.end(JSON.stringify(body));
}

function addressOf(server: Server): HostPort {
  // Listening on a port, it has an AddressInfo (node:net Server.address).
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
