/** `zgate policy explain`: what a policy, or a running relay, says to a flow, and why. */
import { styleText } from "node:util";
import { Command, InvalidArgumentError } from "commander";
import type { FlowStatus } from "../../relay/admin.ts";
import { formatHostPort } from "../../shared/config/host-port.ts";
import { ZgateError } from "../../shared/errors.ts";
import { explainFlow, type FlowQuestion, readQuestion, type RuleReport } from "../../shared/policy/explain.ts";
import { readPolicyFile } from "../../shared/policy/load.ts";
import { EXIT_CODES } from "../failure.ts";
import { adminOption, askRelay, refusedBy } from "./admin-client.ts";
import { exitCodeOption, jsonOption, now, printJson, printLines } from "./options.ts";

interface ExplainFlags {
  readonly client: string;
  readonly dst: string;
  readonly proto: string;
  readonly port?: number;
  readonly icmpType?: number;
  readonly at?: string;
  readonly live?: true;
  readonly admin: string;
  readonly json?: true;
  readonly exitCode?: true;
}

/** What is printed, whoever answered. */
interface Answer {
  readonly action: string;
  readonly ruleId: string;
  readonly reason: string;
  readonly rule?: RuleReport | null;
  readonly passed: readonly RuleReport[];
  readonly generation?: number;
  readonly flows?: readonly FlowStatus[];
}

const AFTER_HELP = `
Examples:
  zgate policy explain policy.yaml --client client-1 --dst 8.8.8.8 --proto udp --port 53
  zgate policy explain --live --client client-1 --dst 10.0.0.5 --proto icmp

Exit codes: 0 it is explained; 2 the question is wrong, or the client unknown; 3 the policy is wrong;
5 no relay answers.`;

export function explainCommand(): Command {
  return new Command("explain")
    .description("explain a verdict: the rule that decides, and every rule that was passed over")
    .argument("[FILE]", "the policy; not with --live")
    .requiredOption("--client <NAME>", "who sends")
    .requiredOption("--dst <ADDRESS>", "where to")
    .requiredOption("--proto <PROTOCOL>", "tcp, udp, sctp, dccp, udplite, icmp, icmpv6 or a number")
    .option("--port <N>", "destination port, for a protocol that has ports", wholeNumber)
    .option("--icmp-type <N>", "ICMP type (default: echo request)", wholeNumber)
    .option("--at <TIME>", "judge at this time, RFC 3339 with an offset (default: now)")
    .option("--live", "ask the running relay; shows the flows in progress too")
    .addOption(adminOption())
    .addOption(jsonOption())
    .addOption(exitCodeOption("the flow is denied"))
    .addHelpText("after", AFTER_HELP)
    .action(async (file: string | undefined, flags: ExplainFlags) => {
      const { client, dst, proto, port, icmpType, at } = flags;
      const question: FlowQuestion = { client, dst, proto, port, icmpType, at };
      const answer = flags.live ? await askLive(flags.admin, question) : await askFile(file, question);
      if (flags.json) printJson(answer);
      else printLines(describe(question, answer));
      if (flags.exitCode && answer.action === "deny") process.exitCode = EXIT_CODES.failed;
    });
}

function describeFlow({ src, srcPort, state, idleMs, up, down }: FlowStatus): string {
  const from = formatHostPort({ host: src, port: srcPort });
  return `flow from ${from}: ${state}, idle for ${idleMs} ms, up ${describeTraffic(up)}, down ${describeTraffic(down)}`;
}

function describeTraffic({ packets, bytes }: FlowStatus["up"]): string {
  return `${packets} packets (${bytes} bytes)`;
}

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text)) throw new InvalidArgumentError("Expected a whole number.");
  return Number(text);
}

async function askFile(file: string | undefined, question: FlowQuestion): Promise<Answer> {
  if (file === undefined) throw new ZgateError("ZG_CONFIG_INVALID", "name the policy FILE, or ask a relay with --live");
  const { target, at } = readQuestion(question, now());
  const { document } = await readPolicyFile(file);
  return explainFlow(document, question.client, target, at);
}

async function askLive(admin: string, question: FlowQuestion): Promise<Answer> {
  const answer = await askRelay(admin, "/v1/explain", question);
  if (answer.status !== 200 || !isAnswer(answer.body)) throw refusedBy(answer);
  return answer.body;
}

function isAnswer(body: object): body is Answer {
  return "action" in body && "ruleId" in body && "reason" in body && "passed" in body && Array.isArray(body.passed);
}

function describe({ client, dst, proto, port }: FlowQuestion, answer: Answer): string[] {
  const flow = `${client} to ${dst} ${proto}${port === undefined ? "" : `/${port}`}`;
  const action = answer.action === "allow" ? styleText("green", "allow") : styleText("red", "deny");
  const where = answer.rule ? ` (${answer.rule.owner}, ${answer.rule.place})` : "";
  const generation = answer.generation === undefined ? "" : `, policy generation ${answer.generation}`;
  return [
    `${flow}: ${action} by ${styleText("bold", answer.ruleId)}${where}${generation}`,
    `reason: ${answer.reason}`,
    ...(answer.passed.length === 0 ? [] : ["passed over:"]),
    ...answer.passed.map(
      ({ ruleId, owner, place, why }) => `  ${styleText("bold", ruleId)} (${owner}, ${place}): ${why}`,
    ),
    ...(answer.flows ?? []).map(describeFlow),
  ];
}
