/** What is said of sessions that open, are renewed and end: to the log, the audit and the counters. */
import type { Logger } from "pino";
import { formatAddress } from "../shared/packet/address.ts";
import type { UnixMs } from "../shared/units.ts";
import type { AuditLog } from "./audit-log.ts";
import { COUNTER } from "./counters.ts";
import type { Counters } from "./counters.ts";
import type { EndReason, Session } from "./session.ts";

export class SessionReports {
  readonly #log: Logger;
  readonly #audit: AuditLog;
  readonly #counters: Counters;

  constructor(log: Logger, audit: AuditLog, counters: Counters) {
    this.#log = log;
    this.#audit = audit;
    this.#counters = counters;
  }

  opened({ id, client, remote, lease, certificates, http3, protocol }: Session): void {
    const { serial, fingerprint256: fingerprint, notAfter } = certificates.current;
    const { keyExchangeGroup: group, cipherSuite: cipher } = http3.quic;
    const ipv4 = formatAddress(4, ...lease.ipv4);
    const ipv6 = formatAddress(6, ...lease.ipv6);
    this.#audit.sessionUp({
      session: id,
      client,
      remote,
      serial,
      fingerprint,
      notAfter,
      ipv4,
      ipv6,
      group,
      cipher,
      protocol,
    });
    this.#log.info({ session: id, client, remote, ipv4, ipv6, group }, "session is open");
  }

  /** Stands on another certificate than that with the serial number `replaces`. */
  renewed({ id, client, remote, certificates }: Session, replaces: string): void {
    const { serial, fingerprint256: fingerprint, notAfter } = certificates.current;
    this.#audit.sessionRenewed({ session: id, client, remote, serial, fingerprint, notAfter, replaces });
    this.#log.info({ session: id, client, serial, notAfter: new Date(notAfter) }, "session was renewed");
  }

  /** A fault of ours, which the session bears alone. */
  failed({ id, client }: Session, error: unknown): void {
    this.#log.error({ err: error, session: id, client }, "a session failed by a fault of the relay");
  }

  ended(session: Session, reason: EndReason, detail: string, end: UnixMs): void {
    const { id, client, remote, startedAt, up, down, dropped } = session;
    this.#counters.add(COUNTER.sessionsEnded[reason]);
    this.#audit.sessionDown({
      session: id,
      client,
      remote,
      start: startedAt,
      end,
      reason,
      ...(detail === "" ? {} : { detail }),
      up: { ...up },
      down: { ...down },
      dropped,
    });
    this.#log.info({ session: id, client, reason, detail }, "session ended");
  }
}
