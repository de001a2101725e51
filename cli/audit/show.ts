/** `zgate audit show`: an audit log for people, one short line a record. */
import { styleText } from "node:util";
import { Command, Option } from "commander";
import { type AuditRecord, auditRecord, parseAuditLine } from "../../relay/audit-record.ts";
import { formatProtocol } from "../../shared/policy/port-selector.ts";
import { readLog } from "./files.ts";

interface ShowFlags {
  readonly type?: string;
  readonly client?: string;
  readonly denied?: true;
}

const TYPES = auditRecord.options.map((option) => option.shape.type.value);

export function showCommand(): Command {
  return new Command("show")
    .description("print audit records in a form for people (they are not verified)")
    .argument("<FILE...>", "the files of one log")
    .addOption(new Option("--type <TYPE>", "only records of this type").choices(TYPES))
    .option("--client <NAME>", "only records about this client")
    .option("--denied", "only what was denied or refused")
    .action(async (files: string[], flags: ShowFlags) => {
      for await (const line of readLog(files)) {
        const parsed = parseAuditLine(line.bytes.toString());
        if (!parsed.ok) process.stderr.write(`${line.file}:${line.number}: ${parsed.problem}\n`);
        else if (isWanted(parsed.record, flags)) process.stdout.write(`${describeRecord(parsed.record)}\n`);
      }
    });
}

function isWanted(record: AuditRecord, flags: ShowFlags): boolean {
  if (flags.type !== undefined && record.type !== flags.type) return false;
  if (flags.client !== undefined && !("client" in record && record.client === flags.client)) return false;
  return flags.denied === undefined || isDenial(record);
}

function isDenial(record: AuditRecord): boolean {
  if (record.type === "flow") return record.action === "deny";
  return record.type === "refusal" || record.type === "suppressed";
}

/** One record as one line, coloured where the terminal is. */
export function describeRecord(record: AuditRecord): string {
  const type = record.type.padEnd(12);
  return `${record.time} ${record.level === "warn" ? styleText("yellow", type) : type} ${printable(detailsOf(record))}`;
}

function detailsOf(record: AuditRecord): string {
  switch (record.type) {
    case "open":
      return `zgate ${record.version}, ${record.before} before`;
    case "close":
      return "";
    case "session-up":
      return `${record.client} from ${record.remote} as ${record.ipv4}, ${record.ipv6} (${record.group}, serial ${record.serial})`;
    case "session-renewed":
      return `${record.client} from ${record.remote}: serial ${record.serial} until ${record.notAfter}, after ${record.replaces}`;
    case "session-down":
      return `${record.client} from ${record.remote}: ${record.reason}${record.detail === undefined ? "" : ` (${record.detail})`}, ${record.up.bytes} B up, ${record.down.bytes} B down`;
    case "flow":
      return `${record.client} ${endpoint(record.src, record.srcPort)} > ${endpoint(record.dst, record.dstPort)} ${formatProtocol(record.protocol)} ${record.action} by ${record.rule}, ${record.up.bytes} B up, ${record.down.bytes} B down`;
    case "policy":
      return [
        `generation ${record.generation} ${record.outcome} (${record.trigger})`,
        ...record.changes,
        ...record.problems,
      ].join("; ");
    case "refusal":
      return `${record.what} of ${record.client ?? record.remote}: ${record.reason} (${record.code})`;
    case "certificate":
      return `${record.request} of ${record.client} from ${record.remote}, serial ${record.serial} until ${record.notAfter}`;
    case "suppressed":
      return `${record.count} more like these: ${record.of}${record.key === undefined ? "" : ` of ${record.key}`}`;
    case "gap":
      return `${record.lost} records lost: ${record.reason}`;
    default:
      return record satisfies never;
  }
}

function endpoint(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Peers choose some of the text: nothing of it may steer the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, "\u{fffd}");
}
