/** Who had which tunnel address, kept in a file, so that clients get theirs again after a restart. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "pino";
import { messageOf } from "../shared/errors.ts";
import type { LeasePool } from "./lease-pool.ts";

const FILE = "leases.json";

export class LeaseStore {
  readonly #directory: string;
  readonly #pool: LeasePool;
  readonly #log: Logger;
  #saved = "";

  private constructor(directory: string, pool: LeasePool, log: Logger) {
    this.#directory = directory;
    this.#pool = pool;
    this.#log = log;
  }

  /** Restores what the file says. Without one, or with a broken one, clients get other addresses: no error. */
  static open(directory: string, pool: LeasePool, log: Logger): LeaseStore {
    const store = new LeaseStore(directory, pool, log);
    try {
      const text = readFileSync(join(directory, FILE), "utf8");
      const restored = pool.restore(JSON.parse(text));
      log.info({ restored }, "leases were restored");
    } catch (error) {
      if (!isAbsent(error)) log.warn(`leases are not restored: ${messageOf(error)}`);
    }
    return store;
  }

  /** Writes the file where something changed since the last time. */
  save(): void {
    const text = JSON.stringify(this.#pool.snapshot());
    if (text !== this.#saved) this.#write(text);
  }

  #write(text: string): void {
    const path = join(this.#directory, FILE);
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      this.#saved = text;
    } catch (error) {
      this.#log.warn(`leases are not saved: ${messageOf(error)}`);
      // Said once: trying again every second would say nothing new.
      this.#saved = text;
    }
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
