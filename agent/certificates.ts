/**
 * The agent's certificates while it runs: files that change are checked and then taken with a new session; with an
 * enrolment service the certificate also renews itself.
 */
import type { Logger } from "pino";
import type { AgentConfig } from "../shared/config/agent-options.ts";
import { messageOf } from "../shared/errors.ts";
import { FileWatch } from "../shared/host/file-watch.ts";
import { CertificateRenewal } from "../shared/pki/renewal.ts";
import { loadChangedTlsFiles } from "../shared/pki/tls-files.ts";
import { unixMs } from "../shared/units.ts";
import { RENEWAL_CHECK_MS } from "./constants.ts";

/** `onChange`: other files are there, and they are good. Returns what stops it. */
export function followCertificates(config: AgentConfig, log: Logger, onChange: () => void): () => void {
  const take = async (): Promise<void> => {
    try {
      const { leaf, warnings } = await loadChangedTlsFiles(config, () => unixMs(Date.now()));
      for (const warning of warnings) log.warn(warning);
      log.info({ certificate: leaf.subject, notAfter: new Date(leaf.notAfter) }, "certificates were reloaded");
      onChange();
    } catch (error) {
      log.error(`certificates stay as they were: ${messageOf(error)}`);
    }
  };
  const files = [config.cert, config.key, config.ca, config.crl].filter((file) => file !== undefined);
  const watch = new FileWatch(files, () => void take());
  const stopRenewal = keepRenewed(config, log);
  return () => {
    watch.close();
    stopRenewal();
  };
}

/** Looks again and again by the wall clock, so that a machine that slept renews as soon as it wakes. */
function keepRenewed(config: AgentConfig, log: Logger): () => void {
  if (config.renew === null) return () => undefined;
  const renewal = new CertificateRenewal(config, config.renew);
  const check = async (): Promise<void> => {
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
