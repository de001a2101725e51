/**
 * The agent: one TUN device, and one session after another behind it.
 *
 *            ┌──────────────────────── wait (back-off) ◀───────────────────────┐
 *            ▼                                                                 │
 *   start ▸ connecting ─▶ opening ─▶ open (addresses, routes, traffic) ─▶ closed ┤
 *                                                                              └▶ stopped
 *
 * The device, its addresses and its routes outlive a session: programs keep their sockets while the agent
 * connects again, and nothing that belongs in the tunnel leaves by another way meanwhile.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { AgentConfig } from "../shared/config/agent-options.ts";
import { formatHostPort } from "../shared/config/host-port.ts";
import { messageOf, ZgateError } from "../shared/errors.ts";
import { stopSignal } from "../shared/host/stop-signal.ts";
import { Http3Connection } from "../shared/http3/connection.ts";
import { createLogger } from "../shared/logging.ts";
import { openQuicEndpoint, openTun } from "../shared/native/addon.ts";
import { ConnectFailure } from "../shared/native/connect-failure.ts";
import type { CloseInfo, QuicEndpoint, TlsMaterial } from "../shared/native/quic.ts";
import type { Tun } from "../shared/native/tun.ts";
import { formatPrefix, parseAddress, parsePrefix } from "../shared/packet/address.ts";
import type { Address, Prefix } from "../shared/packet/address.ts";
import { loadTlsFiles } from "../shared/pki/tls-files.ts";
import type { LoadedTls } from "../shared/pki/tls-files.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import { LanePump } from "../shared/tunnel/lane-pump.ts";
import { deviceStatus, offloadNotes, REFUSAL_NOTE } from "../shared/tunnel/offload-report.ts";
import { unixMs } from "../shared/units.ts";
import { DEFAULT_TUN_MTU } from "../shared/config/constants.ts";
import { AgentStatus } from "./status.ts";
import { openAgentAdmin } from "./admin.ts";
import { followCertificates } from "./certificates.ts";
import { Backoff } from "./backoff.ts";
import {
  CLOSE_TIMEOUT_MS,
  CONNECT_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  KEEP_ALIVE_MS,
  REPLACED_PAUSE_MS,
  STALE_AFTER_MS,
} from "./constants.ts";
import { Downlink } from "./downlink.ts";
import { AgentRoutes } from "./routes.ts";
import { SessionRefused } from "./connect-request.ts";
import { attemptError, describeEnd } from "./session-end.ts";
import { AgentSession } from "./session.ts";
import { Uplink } from "./uplink.ts";

/** Runs until SIGINT or SIGTERM, then puts the machine back as it was. Rejects when it cannot start at all. */
export async function runAgent(config: AgentConfig): Promise<void> {
  const log = createLogger({ level: config.logLevel, name: "agent" });
  const stop = stopSignal();
  const agent = await Agent.start(config, log);
  const unfollow = followCertificates(config, log, {
    onChange: (tls) => agent.follow(tls),
    session: () => agent.session,
  });
  const admin = config.admin === null ? undefined : await openAgentAdmin(config.admin, agent.status);
  try {
    await agent.run(stop);
    log.info("stopping");
  } finally {
    unfollow();
    await admin?.close();
    await agent.close();
  }
}

class Agent {
  readonly status: AgentStatus;
  readonly #config: AgentConfig;
  readonly #log: Logger;
  readonly #tun: Tun;
  readonly #routes: AgentRoutes;
  readonly #uplink: Uplink;
  readonly #downlink: Downlink;
  readonly #pump = new LanePump();
  readonly #backoff: Backoff;
  readonly #removeRoutes: () => void;
  #endpoint: { readonly family: 4 | 6; readonly endpoint: QuicEndpoint } | undefined;
  /** Where the relay was last: used when its name cannot be resolved for now. */
  #lastAddress: string | undefined;
  #session: AgentSession | undefined;

  private constructor(config: AgentConfig, log: Logger, tun: Tun, routes: AgentRoutes) {
    this.#config = config;
    this.#log = log;
    this.#tun = tun;
    this.#routes = routes;
    this.#uplink = new Uplink(tun);
    const device = new DeviceWriter(tun, () => log.warn(REFUSAL_NOTE));
    this.#downlink = new Downlink(device);
    this.#backoff = new Backoff(config.reconnectMin, config.reconnectMax);
    this.status = new AgentStatus(() => deviceStatus(tun, device), this.#uplink, this.#downlink);
    this.#removeRoutes = () => routes.removeSync();
    process.once("exit", this.#removeRoutes);
  }

  /** Opens the device and checks the certificates, so that what cannot work fails at once. */
  static async start(config: AgentConfig, log: Logger): Promise<Agent> {
    const { warnings, leaf } = await loadTlsFiles(config, unixMs(Date.now()));
    for (const warning of warnings) log.warn(warning);
    const routes = new AgentRoutes(config.tunName);
    const tun = openTun({ name: config.tunName, mtu: DEFAULT_TUN_MTU, offload: config.offload });
    log.info({ tun: tun.name, features: tun.features, certificate: leaf.subject }, "device is up");
    for (const { level, text } of offloadNotes(tun.offloadFindings)) log[level](text);
    return new Agent(config, log, tun, routes);
  }

  /** One session after another until `stop`. */
  async run(stop: AbortSignal): Promise<void> {
    let wentDown = performance.now();
    while (!stop.aborted) {
      let wait: number;
      try {
        const session = await this.#connect(stop);
        if (performance.now() - wentDown > STALE_AFTER_MS) this.#uplink.discardQueued();
        this.#uplink.start(session.senders, session.agreement);
        this.#backoff.reset();
        const stopped = Promise.withResolvers<undefined>();
        const onStop = (): void => stopped.resolve(undefined);
        stop.addEventListener("abort", onStop, { once: true });
        const ended = await Promise.race([session.closed, stopped.promise]);
        stop.removeEventListener("abort", onStop);
        wentDown = performance.now();
        this.#uplink.stop();
        this.#session = undefined;
        if (ended === undefined) {
          session.close("the agent stops");
          return;
        }
        wait = this.#waitAfter(ended);
        const why = describeEnd(ended, this.#config.keyExchange);
        this.status.down(why);
        this.#log.warn({ ...ended, waitMs: wait }, `session ended: ${why}`);
      } catch (error) {
        if (stop.aborted) return;
        wait = this.#waitAfterFailure(error);
        this.status.down(messageOf(error));
        const code = error instanceof ZgateError ? error.code : undefined;
        this.#log.error({ code, waitMs: wait }, messageOf(error));
      }
      await sleep(wait, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  get session(): AgentSession | undefined {
    return this.#session;
  }

  /** Other files are there: ends a session that does not stand on them; the next one comes at once, behind the same device. */
  follow(tls: LoadedTls): void {
    if (this.#session?.standsOn(tls) === false) this.#session.close("other certificates are there");
  }

  /** Takes the routes and the device back, then tells the relay. */
  async close(): Promise<void> {
    this.#uplink.stop();
    this.#routes.removeSync();
    process.off("exit", this.#removeRoutes);
    this.#tun.close();
    const closing = this.#endpoint?.endpoint.close(0x100, "the agent stops");
    await Promise.race([closing, sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
  }

  async #connect(stop: AbortSignal): Promise<AgentSession> {
    const { host, port } = this.#config.relay;
    const relay = await this.#resolve(host);
    // Read again each time: a renewed certificate is taken with the next session.
    const tls = await loadTlsFiles(this.#config, unixMs(Date.now()));
    const relayAddress = parseAddress(relay);
    await this.#routes.keepOutside(relayAddress);
    const remote = formatHostPort({ host: relay, port });
    const http3 = await this.#dial(remote, this.#config.serverName ?? host, tls.material, stop);
    const onStop = (): void => http3.close(0x100, "the agent stops");
    stop.addEventListener("abort", onStop, { once: true });
    const session = await AgentSession.open(http3, {
      authority: formatHostPort(this.#config.relay),
      tls,
      wish: { lanes: this.#config.lanes, offload: this.#tun.features.vnetHeader ? "gso" : "none" },
      pump: this.#pump,
      downlink: this.#downlink,
      onRoutes: (advertised) => void this.#declare(session, relayAddress, advertised),
    })
      .catch(async (error: unknown) => {
        throw attemptError(error, await http3.closed, { remote, keyExchange: tls.material.keyExchange });
      })
      .finally(() => stop.removeEventListener("abort", onStop));
    this.#session = session;
    this.status.up(session, http3.quic, remote);
    await this.#declare(session, relayAddress, session.routes);
    this.#log.info(
      {
        relay: remote,
        addresses: session.addresses.map(formatPrefix),
        ...session.agreement,
        keyExchange: http3.quic.keyExchangeGroup,
        cipher: http3.quic.cipherSuite,
      },
      "session is open",
    );
    return session;
  }

  async #dial(remote: string, serverName: string, tls: TlsMaterial, stop: AbortSignal): Promise<Http3Connection> {
    const endpoint = await this.#endpointFor(remote.startsWith("[") ? 6 : 4);
    const timeout = sleep(CONNECT_TIMEOUT_MS, undefined, { ref: false, signal: stop }).catch(() => undefined);
    const connecting = endpoint.connect(remote, serverName, tls).catch((error: unknown) => {
      const end = error instanceof ConnectFailure ? error.end : undefined;
      throw attemptError(error, end, { remote, keyExchange: tls.keyExchange });
    });
    const first = await Promise.race([connecting, timeout]);
    if (first !== undefined && !stop.aborted) return new Http3Connection(first, "client");
    void connecting.then((late) => late.close(0x100, "too late")).catch(() => undefined);
    throw new ZgateError("ZG_CONNECT_FAILED", `no answer from ${remote} within ${CONNECT_TIMEOUT_MS} ms`);
  }

  /** One endpoint a family, kept: a second session needs no second socket. */
  async #endpointFor(family: 4 | 6): Promise<QuicEndpoint> {
    if (this.#endpoint?.family === family) return this.#endpoint.endpoint;
    await this.#endpoint?.endpoint.close(0x100, "the relay moved to another address family");
    const endpoint = openQuicEndpoint({
      bind: family === 4 ? "0.0.0.0:0" : "[::]:0",
      alpn: ["h3"],
      transport: { keepAliveMs: KEEP_ALIVE_MS, idleTimeoutMs: IDLE_TIMEOUT_MS },
    });
    this.#endpoint = { family, endpoint };
    return endpoint;
  }

  async #resolve(host: string): Promise<string> {
    if (isIP(host) !== 0) return host;
    try {
      const { address } = await lookup(host);
      this.#lastAddress = address;
      return address;
    } catch (cause) {
      if (this.#lastAddress !== undefined) return this.#lastAddress;
      throw new ZgateError("ZG_CONNECT_FAILED", `the relay's name ${host} cannot be resolved: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /** Brings addresses and routes in line with the session. */
  async #declare(session: AgentSession, relay: Address, advertised: readonly Prefix[]): Promise<void> {
    if (session !== this.#session) return;
    const destinations = this.#config.route === undefined ? advertised : this.#config.route.flatMap(routePrefixes);
    try {
      const warnings = await this.#routes.declare({
        addresses: session.addresses,
        destinations,
        relay,
        mtu: session.agreement.mtu,
      });
      for (const warning of warnings) this.#log.warn(warning);
      this.status.routes(destinations);
      this.#log.info({ routes: destinations.map(formatPrefix) }, "routes are set");
    } catch (error) {
      this.#log.error({ code: error instanceof ZgateError ? error.code : undefined }, messageOf(error));
      session.close("the agent cannot set its routes");
    }
  }

  #waitAfter(end: CloseInfo): number {
    switch (end.code) {
      case CLOSE_CODE.REPLACED:
        return REPLACED_PAUSE_MS;
      case CLOSE_CODE.FORBIDDEN:
      case CLOSE_CODE.REVOKED:
        return this.#backoff.longest();
      default:
        return this.#backoff.next();
    }
  }

  #waitAfterFailure(error: unknown): number {
    if (!(error instanceof SessionRefused)) return this.#backoff.next();
    const longest = this.#backoff.longest();
    return error.retryAfterMs === undefined ? longest : Math.max(longest, error.retryAfterMs);
  }
}

function routePrefixes(route: string): readonly Prefix[] {
  return route === "default" ? [parsePrefix("0.0.0.0/0"), parsePrefix("::/0")] : [parsePrefix(route)];
}
