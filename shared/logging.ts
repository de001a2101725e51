/**
 * The program's own log: JSON lines on standard error. (The audit is another stream with other promises:
 * `relay/audit-log.ts`.)
 */
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** `relay` or `agent`: stands in every line as `name`. */
  readonly name: string;
  /** Where lines go; standard error when it is not given. */
  readonly destination?: DestinationStream;
}

/** Fields that hold secrets, at the top of a record or one level down: logged as `[secret]`. */
const SECRET_FIELDS = ["key", "keyPem", "privateKey", "privateKeyPem", "passphrase", "password", "token", "secret"];

/**
 * A pino logger. Lines are written synchronously: a log line that a crash swallows would be the one that is needed,
 * and nothing logs per packet.
 */
export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { pid: process.pid },
      timestamp: () => `,"time":${JSON.stringify(new Date().toISOString())}`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: "[secret]" },
      serializers: { err: pino.stdSerializers.err },
    },
    options.destination ?? pino.destination({ dest: process.stderr.fd, sync: true }),
  );
}
