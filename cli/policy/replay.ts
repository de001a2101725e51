/** `zgate policy replay`: judges the flows of an audit log by another policy, and lists those that would flip. */
import { styleText } from "node:util";
import { Command } from "commander";
import { type AuditRecord, parseAuditLine } from "../../relay/audit-record.ts";
import { parseAddress } from "../../shared/policy/address.ts";
import { compilePolicy } from "../../shared/policy/compile.ts";
import type { CompiledPolicy, Verdict } from "../../shared/policy/compiled-policy.ts";
import { Complaint } from "../../shared/policy/complaint.ts";
import { readPolicyFile } from "../../shared/policy/load.ts";
import { formatProtocol } from "../../shared/policy/port-selector.ts";
import { type UnixMs, unixMs } from "../../shared/units.ts";
import { readLog } from "../audit/files.ts";
import { EXIT_CODES } from "../failure.ts";
import { atOption, counted, exitCodeOption, jsonOption, printJson, printLines } from "./options.ts";

interface ReplayFlags {
  readonly audit: readonly string[];
  readonly at?: UnixMs;
  readonly json?: true;
  readonly exitCode?: true;
}

type FlowRecord = Extract<AuditRecord, { type: "flow" }>;

/** Recorded flows to the same place with the same verdicts. */
interface Flip {
  readonly client: string;
  readonly dst: string;
  readonly proto: string;
  readonly port: number | undefined;
  readonly was: { readonly action: string; readonly rule: string };
  readonly becomes: { readonly action: string; readonly rule: string };
  flows: number;
  bytes: number;
}

const AFTER_HELP = `
Each flow is judged at the time at which it began, unless --at names another.

Exit codes: 0 the log was replayed; 2 it cannot be read; 3 the policy is wrong.`;

export function replayCommand(): Command {
  return new Command("replay")
    .description("judge recorded flows by another policy, and list those whose verdict would flip")
    .requiredOption("--audit <FILE>", "a file of the audit log; may be repeated", collect)
    .argument("<POLICY>", "the policy to judge by")
    .addOption(atOption())
    .addOption(jsonOption())
    .addOption(exitCodeOption("a verdict would flip"))
    .addHelpText("after", AFTER_HELP)
    .action(async (file: string, flags: ReplayFlags) => {
      const { document } = await readPolicyFile(file);
      const replay = new Replay(compilePolicy(document), flags.at);
      for await (const line of readLog(flags.audit)) replay.add(line.bytes.toString());
      const { flows, unreadable, flips } = replay;
      if (flags.json) printJson({ flows, unreadable, flips });
      else printLines([...flips.map(describe), summary(replay)]);
      if (flags.exitCode && flips.length > 0) process.exitCode = EXIT_CODES.failed;
    });
}

function collect(file: string, files: readonly string[] = []): readonly string[] {
  return [...files, file];
}

class Replay {
  readonly #policy: CompiledPolicy;
  readonly #at: UnixMs | undefined;
  readonly #flips = new Map<string, Flip>();
  /** Flow records that were judged. */
  flows = 0;
  /** Lines that are no audit record, and flows to no address. */
  unreadable = 0;

  constructor(policy: CompiledPolicy, at: UnixMs | undefined) {
    this.#policy = policy;
    this.#at = at;
  }

  get flips(): readonly Flip[] {
    return [...this.#flips.values()];
  }

  add(line: string): void {
    const parsed = parseAuditLine(line);
    if (!parsed.ok) this.unreadable++;
    else if (parsed.record.type === "flow") this.#addFlow(parsed.record);
  }

  #addFlow(record: FlowRecord): void {
    const verdict = this.#judge(record);
    if (verdict === undefined) {
      this.unreadable++;
      return;
    }
    this.flows++;
    if (verdict.action === record.action) return;
    const { client, dst, dstPort: port, rule } = record;
    const proto = formatProtocol(record.protocol);
    const key = JSON.stringify([client, dst, proto, port, rule, verdict.ruleId]);
    const known = this.#flips.get(key);
    const bytes = record.up.bytes + record.down.bytes;
    if (known !== undefined) {
      known.flows++;
      known.bytes += bytes;
      return;
    }
    const was = { action: record.action, rule };
    const becomes = { action: verdict.action, rule: verdict.ruleId };
    this.#flips.set(key, { client, dst, proto, port, was, becomes, flows: 1, bytes });
  }

  /** Undefined when the record names no address. */
  #judge(record: FlowRecord): Verdict | undefined {
    const address = parseAddress(record.dst);
    if (address instanceof Complaint) return undefined;
    const client = this.#policy.client(record.client);
    if (client === undefined) return this.#policy.refusal;
    const target = {
      version: address.version,
      protocol: record.protocol,
      dst0: address.w0,
      dst1: address.w1,
      dst2: address.w2,
      dst3: address.w3,
      hasPorts: record.dstPort !== undefined,
      dstPort: record.dstPort ?? 0,
      icmpType: record.icmpType ?? -1,
    };
    return client.judge(target, this.#at ?? unixMs(Date.parse(record.start)));
  }
}

function describe({ client, dst, proto, port, was, becomes, flows, bytes }: Flip): string {
  const flow = `${client} to ${dst} ${proto}${port === undefined ? "" : `/${port}`}`;
  const change = `${was.action} by ${was.rule} becomes ${styleText(becomes.action === "allow" ? "green" : "red", becomes.action)} by ${becomes.rule}`;
  return `${flow}: ${change} (${counted(flows, "flow")}, ${bytes} bytes)`;
}

function summary({ flows, unreadable, flips }: Replay): string {
  const flipped = flips.reduce((sum, flip) => sum + flip.flows, 0);
  const skipped = unreadable === 0 ? "" : `; ${counted(unreadable, "line")} could not be read`;
  return `${counted(flows, "flow")} judged, ${flipped} would flip${skipped}`;
}
