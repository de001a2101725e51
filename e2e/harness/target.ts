/**
 * A small service of the private network: `node target.ts` serves, on every address of its machine,
 *
 *   tcp/80    GET /bytes/N: N bytes of `content`; GET /address: who asks, as this machine sees it;
 *             POST /: the SHA-256 of what was sent, as text
 *   tcp/7     echo                     tcp/8081  echo as well: the port that policies deny
 *   udp/7     echo                     udp/53    echo as well
 *
 * and prints `ready` when all of them listen.
 */
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { content } from "./content.ts";

/** The largest content served, in bytes. */
const MAX_CONTENT_BYTES = 2 ** 33;

const http = createHttpServer(async (request, response) => {
  try {
    if (request.method === "POST") {
      const hash = createHash("sha256");
      await pipeline(request, hash);
      response.end(`${hash.digest("hex")}\n`);
      return;
    }
    if (request.url === "/address") {
      response.end(`${request.socket.remoteAddress}\n`);
      return;
    }
    const bytes = Number(/^\/bytes\/(\d+)$/.exec(request.url ?? "")?.[1] ?? "NaN");
    if (!(bytes <= MAX_CONTENT_BYTES)) {
      response.writeHead(404).end("GET /bytes/N or /address, or POST something\n");
      return;
    }
    response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
    await pipeline(Readable.from(content(bytes)), response);
  } catch {
    response.destroy(); // The client went away.
  }
});
http.listen(80, "::");
await once(http, "listening");

for (const port of [7, 8081]) {
  const echo = createTcpServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  echo.listen(port, "::");
  await once(echo, "listening");
}

for (const port of [7, 53]) {
  const echo = createSocket("udp6");
  echo.on("message", (message, from) => echo.send(message, from.port, from.address));
  echo.bind(port, "::");
  await once(echo, "listening");
}

console.log("ready");
