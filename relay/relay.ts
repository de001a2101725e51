/**
 * The relay, put together: what it opens, in this order, and takes back in the other.
 *
 *   certificates, policy, audit ▸ TUN device ▸ addresses, forwarding, NAT ▸ admin ▸ QUIC: sessions are taken
 *
 *   SIGHUP reloads the policy. SIGTERM and SIGINT drain: GOAWAY, a grace period, then everything is closed.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import packageJson from "../package.json" with { type: "json" };
import { LoopbackServer } from "../shared/admin/loopback-server.ts";
import { formatHostPort } from "../shared/config/host-port.ts";
import type { RelayConfig } from "../shared/config/relay-options.ts";
import { messageOf } from "../shared/errors.ts";
import { FileWatch } from "../shared/host/file-watch.ts";
import { stopSignal } from "../shared/host/stop-signal.ts";
import { createLogger, lostLogLines } from "../shared/logging.ts";
import { openQuicEndpoint } from "../shared/native/addon.ts";
import type { HandshakeRefusal, QuicEndpoint, TlsMaterial } from "../shared/native/quic.ts";
import { tlsRefusal } from "../shared/native/tls-refusal.ts";
import type { TunStats } from "../shared/native/tun.ts";
import { formatAddress, parsePrefix } from "../shared/packet/address.ts";
import { hostEnrolment } from "../shared/pki/enrolment-host.ts";
import { loadChangedTlsFiles, loadTlsFiles } from "../shared/pki/tls-files.ts";
import { CLOSE_CODE } from "../shared/tunnel/constants.ts";
import { DeviceWriter } from "../shared/tunnel/device-writer.ts";
import type { CutStats } from "../shared/tunnel/device-writer.ts";
import { LanePump } from "../shared/tunnel/lane-pump.ts";
import { deviceStatus, REFUSAL_NOTE } from "../shared/tunnel/offload-report.ts";
import { unixMs } from "../shared/units.ts";
import { Acceptor } from "./acceptor.ts";
import { buildAdmin } from "./admin.ts";
import { Answers } from "./answers.ts";
import { Arrivals } from "./arrivals.ts";
import { AuditLog } from "./audit-log.ts";
import { CLOSE_TIMEOUT_MS, HOUSEKEEPING_MS } from "./constants.ts";
import { COUNTER, Counters, handshakeRefusalReason } from "./counters.ts";
import { Downlink } from "./downlink.ts";
import { openEnrolment } from "./enrolment.ts";
import { FlowAudit } from "./flow-audit.ts";
import { LeasePool } from "./lease-pool.ts";
import { LeaseStore } from "./lease-store.ts";
import { LivePolicy } from "./live-policy.ts";
import { PolicyReports } from "./policy-reports.ts";
import { PolicyThread } from "./policy-thread.ts";
import { RelayControl } from "./relay-control.ts";
import { RelayHost } from "./relay-host.ts";
import { Revocations } from "./revocations.ts";
import { ShadowPolicy } from "./shadow-policy.ts";
import { SessionRegistry } from "./session-registry.ts";
import { Uplink } from "./uplink.ts";

/** Runs until SIGINT or SIGTERM, then puts the machine back as it was. Rejects when it cannot start. */
export async function runRelay(config: RelayConfig): Promise<void> {
  const stop = stopSignal();
  const log = createLogger({ level: config.logLevel, name: "relay" });
  const relay = await Relay.start(config, log);
  try {
    if (!stop.aborted) await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
    await relay.drain();
  } finally {
    await relay.close();
  }
}

class Relay {
  readonly #config: RelayConfig;
  readonly #log: Logger;
  readonly #counters = new Counters();
  /** What `close` takes back, the last opened first. */
  readonly #closers: (() => unknown)[] = [];
  #host: RelayHost | undefined;
  #sessions: SessionRegistry | undefined;
  #acceptor: Acceptor | undefined;
  #endpoint: QuicEndpoint | undefined;

  private constructor(config: RelayConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  static async start(config: RelayConfig, log: Logger): Promise<Relay> {
    const relay = new Relay(config, log);
    try {
      await relay.#open();
      return relay;
    } catch (error) {
      await relay.close();
      throw error;
    }
  }

  /** Takes no new sessions and gives those that are open a while to move. */
  async drain(): Promise<void> {
    if (this.#acceptor === undefined || this.#sessions === undefined) return;
    this.#acceptor.draining = true;
    this.#sessions.goaway();
    this.#log.info({ sessions: this.#sessions.size, graceMs: this.#config.drain }, "draining");
    const until = performance.now() + this.#config.drain;
    while (this.#sessions.size > 0 && performance.now() < until) await sleep(DRAIN_POLL_MS);
  }

  /** Takes back all that was opened. Nothing that fails here keeps the rest from being taken back. */
  async close(): Promise<void> {
    for (const closer of this.#closers.toReversed()) {
      try {
        await Promise.race([closer(), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
      } catch (error) {
        this.#log.error(messageOf(error));
      }
    }
    this.#closers.length = 0;
  }

  async #open(): Promise<void> {
    const config = this.#config;
    const log = this.#log;
    const counters = this.#counters;
    const tls = await loadTlsFiles(config, unixMs(Date.now()));
    for (const warning of tls.warnings) log.warn(warning);
    const audit = await AuditLog.open({
      path: config.auditFile,
      version: packageJson.version,
      failClosed: config.auditFailClosed,
      onHealth: (healthy, reason) =>
        healthy ? log.info("the audit log works again") : log.error({ reason }, "the audit log fails"),
    });
    this.#closers.push(() => audit.close());
    const reports = new PolicyReports(log, audit, counters);
    const policyThread = new PolicyThread();
    const live = await LivePolicy.open(config.policy, policyThread, {
      onSwap: () => this.#sessions?.policyChanged(),
      onReload: (trigger, outcome) => {
        reports.reloaded(live, trigger, outcome);
        if (outcome.applied) void this.#host?.follow(live.current);
      },
    });
    this.#closers.push(() => live.close());
    reports.started(live);
    const pool = new LeasePool(parsePrefix(config.pool4), parsePrefix(config.pool6));
    const leases = LeaseStore.open(config.stateDir, pool, log);
    this.#closers.push(() => leases.save());
    const host = await RelayHost.open(config, log, pool, live.current);
    this.#host = host;
    this.#closers.push(() => host.closeSync());
    const { tun } = host;
    const answers = new Answers(tun, { ipv4: pool.relayIpv4, ipv6: pool.relayIpv6 }, counters);
    const flowAudit = new FlowAudit(audit, counters, await this.#openShadow(policyThread));
    this.#closers.push(() => flowAudit.finish());
    const device = new DeviceWriter(tun, () => log.warn(REFUSAL_NOTE));
    const uplink = new Uplink({
      device,
      mtu: config.mtu,
      pump: new LanePump(),
      counters,
      answers,
      flowAudit,
    });
    const sessions = new SessionRegistry({ log, live, pool, counters, audit, flowAudit, uplink });
    this.#sessions = sessions;
    new Downlink({ tun, pool, sessions, counters, answers });
    const offer = {
      maxLanes: config.lanes,
      offload: tun.features.vnetHeader ? "gso" : "none",
      mtu: config.mtu,
    } as const;
    const { maxSessions } = config;
    const revocations = new Revocations(config.crl, tls.material);
    const { enroll, authority, cert, key, keyExchange } = config;
    const enrolment =
      authority === undefined
        ? undefined
        : await openEnrolment(authority, { log, audit, counters, live, port: config.listen.port });
    const acceptor = new Acceptor({
      log,
      live,
      pool,
      sessions,
      uplink,
      counters,
      audit,
      offer,
      maxSessions,
      revocations,
      enrolment,
    });
    this.#acceptor = acceptor;
    this.#every(HOUSEKEEPING_MS, () => {
      const nowMs = performance.now();
      flowAudit.expire(sessions, nowMs);
      sessions.forgetBudgets(nowMs);
      this.#countDevice(tun.stats(), device.cut);
      this.#countHandshakes();
      counters.follow(COUNTER.logLines["slow-reader"], lostLogLines());
      sessions.endExpired(unixMs(Date.now()));
      leases.save();
    });
    const onHangup = (): void => void live.reload("signal");
    process.on("SIGHUP", onHangup);
    this.#closers.push(() => process.off("SIGHUP", onHangup));
    if (config.admin !== null) {
      const control = new RelayControl({
        live,
        pool,
        sessions,
        counters,
        audit,
        reports,
        acceptor,
        device: () => deviceStatus(tun, device),
      });
      const admin = await LoopbackServer.open(config.admin, buildAdmin(control));
      this.#closers.push(() => admin.close());
      log.info({ admin: admin.address }, "admin server listens");
    }
    if (enroll !== null && authority !== undefined && enrolment !== undefined) {
      const listen = enroll;
      const host = await hostEnrolment({ service: enrolment, folder: authority, listen, cert, key, keyExchange, log });
      this.#closers.push(() => host.close());
    }
    const endpoint = this.#listen(tls.material, acceptor, audit);
    this.#followCertificates(endpoint, tls.files, (material) => revocations.update(config.crl, material, sessions));
    this.#closers.push(() => sessions.endAll("drain", CLOSE_CODE.DRAINING, "the relay is going down"));
    log.info(
      {
        listen: endpoint.localAddress,
        certificate: tls.leaf.subject,
        policy: live.generation,
        ipv4: formatAddress(4, ...pool.relayIpv4),
        ipv6: formatAddress(6, ...pool.relayIpv6),
        tun: tun.name,
      },
      "relay is ready",
    );
  }

  /** The candidate policy of `shadow_policy`, where there is one. */
  async #openShadow(thread: PolicyThread): Promise<ShadowPolicy | undefined> {
    const { shadowPolicy } = this.#config;
    if (shadowPolicy === undefined) return undefined;
    const log = this.#log.child({ shadow: true });
    const live = await LivePolicy.open(shadowPolicy, thread, {
      onSwap: () => undefined,
      onReload: (_trigger, outcome) =>
        outcome.applied
          ? log.info("shadow policy was reloaded")
          : log.error(`shadow policy was refused:\n${messageOf(outcome.error)}`),
    });
    this.#closers.push(() => live.close());
    return new ShadowPolicy(live);
  }

  #listen(server: Parameters<QuicEndpoint["setServerTls"]>[0], acceptor: Acceptor, audit: AuditLog): QuicEndpoint {
    const { listen, idleTimeout, retry, maxHandshakes } = this.#config;
    const endpoint = openQuicEndpoint({
      bind: formatHostPort(listen),
      server,
      alpn: ["h3"],
      transport: { idleTimeoutMs: idleTimeout },
      retryAbove: retry,
      maxHandshakes,
    });
    this.#endpoint = endpoint;
    this.#closers.push(() => endpoint.close(CLOSE_CODE.DRAINING, "the relay is going down"));
    const arrivals = new Arrivals((quic) => acceptor.accept(quic));
    endpoint.onConnection = (quic) => arrivals.add(quic);
    endpoint.onRefused = (refusal) => this.#refused(refusal, audit);
    return endpoint;
  }

  /** What the device and its writer count themselves. */
  #countDevice({ overflowPackets, refusedPackets }: TunStats, { lacking, refused }: CutStats): void {
    const { dropped, cut } = COUNTER;
    this.#counters.follow(cut.lacking, lacking);
    this.#counters.follow(cut.refused, refused);
    this.#counters.follow(dropped["tun-overflow"], overflowPackets);
    this.#counters.follow(dropped["tun-refused"], refusedPackets);
  }

  /** What the endpoint does by itself. */
  #countHandshakes(): void {
    if (this.#endpoint === undefined) return;
    const { retries, untoldRefusals } = this.#endpoint.handshakeStats();
    this.#counters.follow(COUNTER.addressChecks["handshakes-in-progress"], retries);
    this.#counters.follow(COUNTER.handshakesRefused.unexplained, untoldRefusals);
  }

  #refused(refusal: HandshakeRefusal, audit: AuditLog): void {
    const { remote, code } = refusal;
    const tls = tlsRefusal(refusal, { side: "relay", keyExchange: this.#config.keyExchange });
    this.#counters.add(COUNTER.handshakesRefused[handshakeRefusalReason(refusal, tls)]);
    const reason = tls?.sentence ?? refusal.reason;
    if (!audit.refusal({ what: "handshake", remote, code, reason })) return;
    this.#log.warn({ remote, code }, `handshake refused: ${reason}`);
  }

  /** Takes renewed certificates, keys, CAs and revocation lists without a restart; broken ones are refused. */
  #followCertificates(
    endpoint: QuicEndpoint,
    files: readonly string[],
    onReload: (material: TlsMaterial) => void,
  ): void {
    const reload = async (): Promise<void> => {
      try {
        const { material, leaf, warnings } = await loadChangedTlsFiles(this.#config, () => unixMs(Date.now()));
        endpoint.setServerTls(material);
        onReload(material);
        for (const warning of warnings) this.#log.warn(warning);
        this.#log.info({ certificate: leaf.subject, notAfter: new Date(leaf.notAfter) }, "certificates were reloaded");
      } catch (error) {
        this.#log.error(`certificates stay as they were: ${messageOf(error)}`);
      }
    };
    const watch = new FileWatch(files, () => void reload());
    this.#closers.push(() => watch.close());
  }

  #every(ms: number, work: () => void): void {
    const timer = setInterval(work, ms);
    timer.unref();
    this.#closers.push(() => clearInterval(timer));
  }
}

/** How often a drain looks whether all sessions are gone. Milliseconds. */
const DRAIN_POLL_MS = 50;
