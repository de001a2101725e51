/** The agent's certificate renews itself while the agent runs. */
import type { Logger } from "pino";
import type { HostPort } from "../shared/config/host-port.ts";
import { CertificateRenewal } from "../shared/pki/renewal.ts";
import type { TlsFiles } from "../shared/pki/tls-files.ts";
import { unixMs } from "../shared/units.ts";
import { RENEWAL_CHECK_MS } from "./constants.ts";

/**
 * Looks again and again by the wall clock, so that a machine that slept renews as soon as it wakes. Returns what stops
 * it. `onRenewed`: new files are there.
 */
export function keepRenewed(files: TlsFiles, at: HostPort, log: Logger, onRenewed: () => void): () => void {
  const renewal = new CertificateRenewal(files, at);
  const check = async (): Promise<void> => {
    const outcome = await renewal.check(unixMs(Date.now()));
    if (outcome?.what === "renewed") {
      log.info({ notAfter: new Date(outcome.notAfter) }, "the certificate was renewed");
      onRenewed();
    } else if (outcome?.what === "failed") {
      log.error({ retryAt: new Date(outcome.retryAt) }, `the certificate was not renewed: ${outcome.reason}`);
    }
  };
  void check();
  const timer = setInterval(() => void check(), RENEWAL_CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
