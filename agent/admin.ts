/**
 * Health and status of the agent, on loopback.
 *
 *   GET /healthz     200 while the process runs
 *   GET /readyz      200 while a session is open, else 503
 *   GET /v1/status   the session, its path, and what passed
 */
import { loopbackApp, LoopbackServer } from "../shared/admin/loopback-server.ts";
import type { HostPort } from "../shared/config/host-port.ts";
import type { AgentStatus } from "./status.ts";

/** Throws `ZG_CONFIG_INVALID` when the address cannot be bound. */
export async function openAgentAdmin(listen: HostPort, status: AgentStatus): Promise<LoopbackServer> {
  const app = loopbackApp();
  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", (_request, reply) => reply.code(status.ready ? 200 : 503).send({ ready: status.ready }));
  app.get("/v1/status", () => status.report());
  return await LoopbackServer.open(listen, app);
}
