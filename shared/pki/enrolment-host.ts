/** An enrolment service that runs on a port: TLS files that are followed, a log. */
import { join } from "node:path";
import type { Logger } from "pino";
import { formatHostPort } from "../config/host-port.ts";
import type { HostPort } from "../config/host-port.ts";
import { messageOf } from "../errors.ts";
import { FileWatch } from "../host/file-watch.ts";
import type { KeyExchange } from "../native/quic.ts";
import { unixMs } from "../units.ts";
import type { UnixMs } from "../units.ts";
import { serveEnrolment } from "./enrolment-server.ts";
import type { EnrolmentEvent, EnrolmentService } from "./enrolment-service.ts";
import { loadChangedTlsFiles, loadTlsFiles } from "./tls-files.ts";

export interface EnrolmentHostOptions {
  readonly service: EnrolmentService;
  /** The authority's folder. */
  readonly folder: string;
  readonly listen: HostPort;
  /** Paths of the certificate and key that the service shows. */
  readonly cert: string;
  readonly key: string;
  readonly keyExchange: KeyExchange;
  readonly log: Logger;
}

export interface EnrolmentHost {
  readonly address: HostPort;
  close(): Promise<void>;
}

/** Throws as `loadTlsFiles` and `serveEnrolment` do. */
export async function hostEnrolment(options: EnrolmentHostOptions): Promise<EnrolmentHost> {
  const { service, folder, listen, cert, key, keyExchange, log } = options;
  const files = { cert, key, ca: join(folder, "ca.pem"), keyExchange };
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

const LEVEL = { issued: "info", refused: "warn", failed: "error" } as const;

/** One line of the log for each request that was decided. */
export function logEnrolment(log: Logger, { outcome, request, ...event }: EnrolmentEvent): void {
  log[LEVEL[outcome]](event, `certificate ${request} ${outcome}`);
}
