/**
 * Why a flow is judged as it is: a walk over the rules in order, saying of each why it was passed over, until one
 * decides. `compile.property.test.ts` holds it against the compiled policy.
 */
import { ZgateError } from "../errors.ts";
import type { FlowTarget } from "../packet/flow.ts";
import type { UnixMs } from "../units.ts";
import { didYouMean } from "../yaml/suggestion.ts";
import { formatPrefix, parseAddress, type Prefix } from "./address.ts";
import { Complaint } from "./complaint.ts";
import { type Action, groupsByClient, type PolicyDocument, type PolicyRule } from "./document.ts";
import { formatPortSelector, formatProtocol, parseProtocol, type PortSelector } from "./port-selector.ts";
import { formatPlace } from "./problem-list.ts";
import { parseTimestamp, timeStateAt } from "./schedule.ts";
import { targetOf } from "./test-case.ts";

/** A question as a person asks it. */
export interface FlowQuestion {
  readonly client: string;
  /** One address. */
  readonly dst: string;
  /** `tcp`, `icmpv6`, `proto/47` or `47`. */
  readonly proto: string;
  readonly port?: number | undefined;
  /** Echo request when absent. */
  readonly icmpType?: number | undefined;
  /** RFC 3339; now when absent. */
  readonly at?: string | undefined;
}

/** A rule that was looked at. */
export interface RuleReport {
  readonly ruleId: string;
  /** `client alice` or `group staff`. */
  readonly owner: string;
  /** `file:line:column` */
  readonly place: string;
  /** Why it was passed over, or that it decides. */
  readonly why: string;
}

export interface Explanation {
  readonly action: Action;
  /** `default_action` or `client_disabled` when no rule decides. */
  readonly ruleId: string;
  readonly reason: string;
  /** The rule that decides; null when none does. */
  readonly rule: RuleReport | null;
  /** The rules before it, in the order in which they were tried. */
  readonly passed: readonly RuleReport[];
}

/** The flow and the time that a question is about. Throws `ZG_CONFIG_INVALID`. */
export function readQuestion(question: FlowQuestion, now: UnixMs): { target: FlowTarget; at: UnixMs } {
  const protocol = required("proto", parseProtocol(question.proto));
  const address = required("dst", parseAddress(question.dst));
  const target = required("flow", targetOf(address, { protocol, port: question.port, icmpType: question.icmpType }));
  return { target, at: question.at === undefined ? now : required("at", parseTimestamp(question.at)) };
}

function required<Value>(what: string, value: Value | Complaint): Value {
  if (!(value instanceof Complaint)) return value;
  const hint = value.hint === undefined ? "" : `; ${value.hint}`;
  throw new ZgateError("ZG_CONFIG_INVALID", `${what}: ${value.message}${hint}`);
}

/** Throws `ZG_CONFIG_INVALID` when the policy does not know the client. */
export function explainFlow(document: PolicyDocument, name: string, target: FlowTarget, at: UnixMs): Explanation {
  const client = document.clients.get(name);
  if (client === undefined) {
    const hint = didYouMean(name, document.clients.keys()) ?? "the relay refuses it";
    throw new ZgateError("ZG_CONFIG_INVALID", `${JSON.stringify(name)} is not a client of the policy; ${hint}`);
  }
  if (!client.enabled) {
    const reason = "the client is disabled in the policy";
    return { action: "deny", ruleId: "client_disabled", reason, rule: null, passed: [] };
  }
  const passed: RuleReport[] = [];
  const groups = (groupsByClient(document).get(name) ?? []).filter(({ enabled }) => enabled);
  const lists = [
    { owner: `client ${name}`, rules: client.rules },
    ...groups.map((group) => ({ owner: `group ${group.name}`, rules: group.rules })),
  ];
  for (const { owner, rules } of lists) {
    for (const rule of rules) {
      const report = { ruleId: rule.id, owner, place: formatPlace(rule.place) };
      const why = whyPassed(rule, target, at);
      if (why === undefined) {
        const reason = rule.reason ?? `rule ${rule.id} of ${owner}`;
        return { action: rule.action, ruleId: rule.id, reason, rule: { ...report, why: "it matches" }, passed };
      }
      passed.push({ ...report, why });
    }
  }
  const action = document.defaultAction;
  return {
    action,
    ruleId: "default_action",
    reason: `no rule matches, and default_action is ${action}`,
    rule: null,
    passed,
  };
}

/** Undefined: the rule matches. */
function whyPassed(rule: PolicyRule, target: FlowTarget, at: UnixMs): string | undefined {
  if (!rule.enabled) return "it is disabled";
  const { destinations, ports, time } = rule;
  if (time !== undefined) {
    const { active, until } = timeStateAt(time, at);
    if (!active)
      return until === undefined ? "it is no longer in force" : `it is not in force before ${formatTime(until)}`;
  }
  if (destinations !== undefined && !destinations.some((prefix) => contains(prefix, target))) {
    return `the destination is not in ${listed(destinations.map(formatPrefix))}`;
  }
  if (ports === undefined || ports.some((selector) => selects(selector, target))) return undefined;
  return whyNoPort(ports, target);
}

function whyNoPort(ports: readonly PortSelector[], target: FlowTarget): string {
  const wanted = listed(ports.map(formatPortSelector));
  const protocol = formatProtocol(target.protocol);
  if (ports.every((selector) => selector.protocol !== target.protocol)) return `${protocol} is not among ${wanted}`;
  if (target.hasPorts) return `port ${protocol}/${target.dstPort} is not among ${wanted}`;
  if (target.icmpType >= 0) return `type ${protocol}/${target.icmpType} is not among ${wanted}`;
  return `the packet shows no ports, which ${wanted} asks for`;
}

function contains(prefix: Prefix, target: FlowTarget): boolean {
  if (prefix.version !== target.version) return false;
  const offset = prefix.version === 4 ? 96 : 0;
  return (
    agrees(prefix.w0, target.dst0, prefix.length + offset) &&
    agrees(prefix.w1, target.dst1, prefix.length + offset - 32) &&
    agrees(prefix.w2, target.dst2, prefix.length + offset - 64) &&
    agrees(prefix.w3, target.dst3, prefix.length + offset - 96)
  );
}

/** The first `bits` bits of two words are the same. */
function agrees(one: number, other: number, bits: number): boolean {
  return bits <= 0 || (one ^ other) >>> Math.max(0, 32 - bits) === 0;
}

function selects({ protocol, ranged, from, to }: PortSelector, target: FlowTarget): boolean {
  if (protocol !== target.protocol) return false;
  if (!ranged) return true;
  const value = target.hasPorts ? target.dstPort : target.icmpType;
  return value >= from && value <= to;
}

/** A list with more entries than this is cut short. */
const MAX_LISTED = 4;

function listed(texts: readonly string[]): string {
  if (texts.length <= MAX_LISTED) return texts.join(", ");
  return `${texts.slice(0, MAX_LISTED).join(", ")} and ${texts.length - MAX_LISTED} more`;
}

function formatTime(at: UnixMs): string {
  return new Date(at).toISOString().replace(".000Z", "Z");
}
