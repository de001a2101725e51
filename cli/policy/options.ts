/** Options that several `zgate policy` commands have in common. */
import { InvalidArgumentError, Option } from "commander";
import { Complaint } from "../../shared/policy/complaint.ts";
import { parseTimestamp } from "../../shared/policy/schedule.ts";
import { EXIT_CODES } from "../failure.ts";
import { type UnixMs, unixMs } from "../../shared/units.ts";

/** `--at`: the time that schedules are judged at. */
export function atOption(): Option {
  return new Option("--at <TIME>", "judge at this time, RFC 3339 with an offset (default: now)").argParser(parseTime);
}

function parseTime(text: string): UnixMs {
  const at = parseTimestamp(text);
  if (at instanceof Complaint) throw new InvalidArgumentError(at.hint ?? at.message);
  return at;
}

export function now(): UnixMs {
  return unixMs(Date.now());
}

export function jsonOption(): Option {
  return new Option("--json", "print the result as JSON");
}

/** `--exit-code`, as git has it: a plain run that answers its question is a success, whatever the answer. */
export function exitCodeOption(meaning: string): Option {
  return new Option("--exit-code", `exit with ${EXIT_CODES.failed} when ${meaning}`);
}

/** One JSON value on standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}

/** Several lines on standard output. */
export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/** `1 rule`, `2 rules`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
