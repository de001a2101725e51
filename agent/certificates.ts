/**
 * The agent's certificates while it runs. Files that change are checked and then taken with a new session, unless they hold
 * what the session got by its own renewal; `--renew` makes the certificate renew itself.
 */
import type { Logger } from "pino";
import type { AgentConfig } from "../shared/config/agent-options.ts";
import { messageOf, ZgateError } from "../shared/errors.ts";
import { FileWatch } from "../shared/host/file-watch.ts";
import { renewalOverTls } from "../shared/pki/enrolment-client.ts";
import type { RenewalTransport } from "../shared/pki/enrolment-client.ts";
import { CertificateRenewal } from "../shared/pki/renewal.ts";
import { loadChangedTlsFiles } from "../shared/pki/tls-files.ts";
import type { LoadedTls } from "../shared/pki/tls-files.ts";
import { unixMs } from "../shared/units.ts";
import { RENEWAL_CHECK_MS } from "./constants.ts";
import type { AgentSession } from "./session.ts";

export interface CertificateEvents {
  /** Other files are there, and they are good. */
  readonly onChange: (tls: LoadedTls) => void;
  /** The session to renew on; undefined while there is none. */
  readonly session: () => AgentSession | undefined;
}

/** Returns what stops it. */
export function followCertificates(config: AgentConfig, log: Logger, events: CertificateEvents): () => void {
  const take = async (): Promise<void> => {
    try {
      const tls = await loadChangedTlsFiles(config, () => unixMs(Date.now()));
      const { leaf, warnings } = tls;
      for (const warning of warnings) log.warn(warning);
      log.info({ certificate: leaf.subject, notAfter: new Date(leaf.notAfter) }, "certificates were reloaded");
      events.onChange(tls);
    } catch (error) {
      log.error(`certificates stay as they were: ${messageOf(error)}`);
    }
  };
  const files = [config.cert, config.key, config.ca, config.crl].filter((file) => file !== undefined);
  const watch = new FileWatch(files, () => void take());
  const stopRenewal = keepRenewed(config, log, events);
  return () => {
    watch.close();
    stopRenewal();
  };
}

/** Looks again and again by the wall clock, so that a machine that slept renews as soon as it wakes. */
function keepRenewed(config: AgentConfig, log: Logger, { session }: CertificateEvents): () => void {
  const { renew, keyExchange } = config;
  if (renew === null) return () => undefined;
  const onSession = renew === "on";
  const renewal = new CertificateRenewal(config, onSession ? renewalOn(session) : renewalOverTls(renew, keyExchange));
  const check = async (): Promise<void> => {
    if (onSession && session() === undefined) return;
    const outcome = await renewal.check(unixMs(Date.now()));
    if (outcome?.what === "renewed") {
      log.info({ notAfter: new Date(outcome.notAfter) }, "the certificate was renewed");
    } else if (outcome?.what === "failed") {
      log.error({ retryAt: new Date(outcome.retryAt) }, `the certificate was not renewed: ${outcome.reason}`);
    }
  };
  void check();
  const timer = setInterval(() => void check(), RENEWAL_CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function renewalOn(session: () => AgentSession | undefined): RenewalTransport {
  return async (body) => {
    const current = session();
    if (current === undefined) throw new ZgateError("ZG_CONNECTION_CLOSED", "there is no session to renew on");
    return await current.renewal(body);
  };
}
