/** An enrolment service that runs: authority folder, TLS files that are followed, a port, a log. */
import { join } from "node:path";
import type { Logger } from "pino";
import { formatHostPort } from "../config/host-port.ts";
import type { HostPort } from "../config/host-port.ts";
import { messageOf } from "../errors.ts";
import { FileWatch } from "../host/file-watch.ts";
import { unixMs } from "../units.ts";
import type { UnixMs } from "../units.ts";
import { serveEnrolment } from "./enrolment-server.ts";
import { EnrolmentService } from "./enrolment-service.ts";
import type { EnrolmentEvent } from "./enrolment-service.ts";
import { loadChangedTlsFiles, loadTlsFiles } from "./tls-files.ts";

export interface EnrolmentHostOptions {
  /** The authority's folder. */
  readonly folder: string;
  /** Of the issuing CA's key. */
  readonly passphrase?: string;
  readonly listen: HostPort;
  /** Paths of the certificate and key that the service shows. */
  readonly cert: string;
  readonly key: string;
  readonly log: Logger;
}

export interface EnrolmentHost {
  readonly address: HostPort;
  close(): Promise<void>;
}

/** Throws as `EnrolmentService.open`, `loadTlsFiles` and `serveEnrolment` do. */
export async function hostEnrolment(options: EnrolmentHostOptions): Promise<EnrolmentHost> {
  const { folder, passphrase, listen, cert, key, log } = options;
  const service = await EnrolmentService.open(folder, passphrase, (event) => logEvent(log, event));
  const files = { cert, key, ca: join(folder, "ca.pem"), keyExchange: "prefer-pq" } as const;
  const clock = (): UnixMs => unixMs(Date.now());
  const tls = await loadTlsFiles(files, clock());
  const server = await serveEnrolment({ listen, service, tls: tls.material });
  const reload = async (): Promise<void> => {
    try {
      server.setTls((await loadChangedTlsFiles(files, clock)).material);
    } catch (error) {
      log.error(`the certificate of the enrolment service stays as it was: ${messageOf(error)}`);
    }
  };
  const watch = new FileWatch(tls.files, () => void reload());
  log.info({ enrolment: formatHostPort(server.address) }, "enrolment is served");
  return {
    address: server.address,
    close: async () => {
      watch.close();
      await server.close();
    },
  };
}

const LEVEL = { enrolled: "info", renewed: "info", refused: "warn", failed: "error" } as const;

function logEvent(log: Logger, { what, ...event }: EnrolmentEvent): void {
  log[LEVEL[what]](event, `certificate request ${what}`);
}
