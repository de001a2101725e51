/**
 * What a process has changed outside itself and must take back, written down so that the next start can
 * finish the job after `kill -9`.
 *
 *   remember ─▶ /run/zgate/NAME@NAMESPACE.json ─▶ forget          a normal life
 *                        └─▶ inherit by the next owner            after kill -9
 *
 * A record belongs to a process (its id and start time) and to a network namespace. One whose owner lives is
 * not touched by another.
 */
import { mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, ZgateError } from "../errors.ts";
import { RUN_DIRECTORY } from "./constants.ts";

const recordSchema = z.strictObject({
  pid: z.int().positive(),
  /** Start of the owner in clock ticks since boot (proc_pid_stat(5), field 22). */
  started: z.string(),
  content: z.unknown(),
});

/** A record of another process, alive or not. */
export interface FoundLeftover<T> {
  readonly name: string;
  readonly content: T;
  readonly ownerAlive: boolean;
  /** Deletes the record. */
  forget(): void;
}

/** The record called `name` of this process in this network namespace. */
export class Leftover<T> {
  readonly name: string;
  readonly #path: string;

  constructor(name: string) {
    this.name = name;
    this.#path = join(RUN_DIRECTORY, `${name}${suffix()}`);
  }

  /** Writes the record down, atomically. Throws `ZG_PRIVILEGE` when it cannot: nothing should be changed then. */
  remember(content: T): void {
    const record = { pid: process.pid, started: startOf(process.pid) ?? "", content };
    const draft = `${this.#path}.${process.pid}`;
    try {
      mkdirSync(RUN_DIRECTORY, { recursive: true, mode: 0o755 });
      writeFileSync(draft, `${JSON.stringify(record)}\n`, { mode: 0o600 });
      renameSync(draft, this.#path);
    } catch (cause) {
      throw new ZgateError("ZG_PRIVILEGE", `${this.#path} cannot be written: ${messageOf(cause)}`, { cause });
    }
  }

  forget(): void {
    rmSync(this.#path, { force: true });
  }
}

/** The records of this network namespace whose names start with `prefix`. What is unreadable is deleted. */
export function findLeftovers<T>(prefix: string, schema: z.ZodType<T>): FoundLeftover<T>[] {
  const tail = suffix();
  const found: FoundLeftover<T>[] = [];
  for (const file of listRunDirectory()) {
    if (!file.startsWith(prefix) || !file.endsWith(tail)) continue;
    const path = join(RUN_DIRECTORY, file);
    const forget = (): void => rmSync(path, { force: true });
    const record = readRecord(path, schema);
    if (record === undefined) {
      forget();
      continue;
    }
    const ownerAlive = startOf(record.pid) === record.started;
    found.push({ name: file.slice(0, -tail.length), content: record.content, ownerAlive, forget });
  }
  return found;
}

function readRecord<T>(path: string, schema: z.ZodType<T>): { pid: number; started: string; content: T } | undefined {
  try {
    const record = recordSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    return { pid: record.pid, started: record.started, content: schema.parse(record.content) };
  } catch {
    return undefined;
  }
}

function listRunDirectory(): string[] {
  try {
    return readdirSync(RUN_DIRECTORY);
  } catch {
    return [];
  }
}

/** The network namespace by its inode: `net:[4026531840]` (namespaces(7)). */
function suffix(): string {
  const inode = readlinkSync("/proc/self/ns/net").replace(/\D/g, "");
  return `@${inode}.json`;
}

function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
