/**
 * The program's own log: JSON lines on standard error. (The audit is another stream with other promises:
 * `relay/audit-log.ts`.)
 */
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import { stderrLog } from "./log-stderr.ts";

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
 * A pino logger. A line is handed to the kernel before the call returns, unless the reader of standard error is slow:
 * then lines wait, and beyond a bound they are lost and counted (`log-writer.ts`).
 */
export function createLogger(options: LogOptions): Logger {
  if (options.destination !== undefined) return loggerTo(options, options.destination);
  const writer = stderrLog();
  const logger = loggerTo(options, writer);
  writer.onLost = (lines) => logger.error({ lines }, "log lines were lost: whoever reads this log is too slow");
  return logger;
}

/** Lines that standard error did not take in time and that are lost, since the process began. */
export function lostLogLines(): number {
  return stderrLog().lost;
}

function loggerTo(options: LogOptions, destination: DestinationStream): Logger {
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
    destination,
  );
}
