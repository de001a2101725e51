/**
 * An HTTP server for the machine itself: a loopback address only, bounded, closed to web pages.
 *
 *   request ─▶ guard (Host, Origin) ─▶ schema ─▶ handler ─▶ JSON, also for errors
 *
 * Who can connect to loopback may administrate: it is the machine's own users' trust boundary. A web page in
 * a browser on that machine is not one of them, which is what the guard is for.
 */
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from "fastify";
import { formatHostPort, type HostPort, isLoopback, parseHostPort } from "../config/host-port.ts";
import { messageOf, ZgateError } from "../errors.ts";
import { ADMIN_BODY_BYTES, ADMIN_CONNECTIONS, ADMIN_KEEP_ALIVE_MS, ADMIN_REQUEST_MS } from "./constants.ts";

export class LoopbackServer {
  /** `address:port` that is bound. */
  readonly address: string;
  readonly #app: FastifyInstance;

  private constructor(app: FastifyInstance, address: string) {
    this.#app = app;
    this.address = address;
  }

  /** Throws `ZG_CONFIG_INVALID` when the address is not a loopback address, or cannot be bound. Port 0 picks one. */
  static async open(listen: HostPort, app: FastifyInstance): Promise<LoopbackServer> {
    const asked = formatHostPort(listen);
    if (!isLoopback(listen)) {
      throw new ZgateError(
        "ZG_CONFIG_INVALID",
        `admin ${asked}: only a loopback address (127.0.0.1 or [::1]) may be used`,
      );
    }
    try {
      await app.listen(listen);
    } catch (cause) {
      throw new ZgateError("ZG_CONFIG_INVALID", `admin ${asked}: cannot be bound: ${messageOf(cause)}`, { cause });
    }
    const bound = app.server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : listen.port;
    return new LoopbackServer(app, formatHostPort({ host: listen.host, port }));
  }

  /** Closes the socket and every connection. */
  async close(): Promise<void> {
    await this.#app.close();
  }
}

/** An application with the guard and the error answers, without routes of its own; for tests by `inject`, too. */
export function loopbackApp(): FastifyInstance {
  const app = fastify({
    bodyLimit: ADMIN_BODY_BYTES,
    requestTimeout: ADMIN_REQUEST_MS,
    keepAliveTimeout: ADMIN_KEEP_ALIVE_MS,
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
  app.server.maxConnections = ADMIN_CONNECTIONS;
  app.server.headersTimeout = ADMIN_REQUEST_MS;
  // JSON is the only body: a form or text/plain, which a web page may send unasked, is refused with 415.
  app.removeContentTypeParser("text/plain");

  app.addHook("onRequest", async (request, reply) => {
    const refusal = guard(request.headers);
    if (refusal !== undefined) await fail(reply, 403, "forbidden", refusal);
  });
  app.setErrorHandler<FastifyError>((error, _request, reply) => {
    if (error instanceof ZgateError) return fail(reply, 400, error.code, error.message);
    const status = error.statusCode ?? 500;
    return fail(reply, status, status < 500 ? error.code : "internal", messageOf(error));
  });
  app.setNotFoundHandler((request, reply) =>
    fail(reply, 404, "not-found", `there is no ${request.method} ${request.url.split("?", 1)[0]}`),
  );
  return app;
}

/**
 * Why a request may not pass. A page that a browser loaded can send requests to loopback: directly, then the
 * browser adds Origin or Sec-Fetch-Site; or by a DNS name of its own that it lets point to loopback (DNS
 * rebinding), then Host has that name.
 */
function guard(headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
  const host = typeof headers["host"] === "string" ? parseHostPort(headers["host"], 80) : undefined;
  if (host === undefined || (host.host !== "localhost" && !isLoopback(host))) {
    return "the Host header has to be a loopback address or localhost";
  }
  const site = headers["sec-fetch-site"];
  if (headers["origin"] !== undefined || (site !== undefined && site !== "none")) {
    return "requests from web pages are not answered";
  }
  return undefined;
}

/** An error as JSON. */
export function fail(reply: FastifyReply, status: number, code: string, message: string): FastifyReply {
  return reply.code(status).send({ code, message });
}
