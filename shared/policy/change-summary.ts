/** The differences of policies in words: for a terminal, and bounded for a log. */
import { ZgateError } from "../errors.ts";
import type { UnixMs } from "../units.ts";
import { MAX_SUMMARY_LINES, MAX_SUMMARY_RULES, MAX_SUMMARY_STEPS } from "./constants.ts";
import { type ClientDifference, comparePolicies, type Reachable } from "./difference.ts";
import type { PolicyDocument } from "./document.ts";

/** The client's changes, one a line: `+` gained, `-` lost, `!` admission, `~` limits. */
export function describeDifference({ admitted, gained, lost, limits }: ClientDifference): string[] {
  return [
    ...(admitted === "still" ? [] : [`! ${admitted} admitted`]),
    ...gained.map((reachable) => `+ ${describeReachable(reachable)}`),
    ...lost.map((reachable) => `- ${describeReachable(reachable)}`),
    ...limits.map((limit) => `~ ${limit}`),
  ];
}

function describeReachable({ destinations, ports }: Reachable): string {
  return `${destinations.join(", ")}  ${ports[0] === "*" ? "every protocol" : ports.join(", ")}`;
}

/**
 * A bounded summary for a log: some lines, each with its clients, in bounded time. For policies that are too
 * large to be compared in passing it says so.
 */
export function summariseChange(before: PolicyDocument, after: PolicyDocument, at: UnixMs): string[] {
  if (ruleCount(before) + ruleCount(after) > MAX_SUMMARY_RULES)
    return ["too many rules to compare in passing: see zgate policy diff"];
  let differences: readonly ClientDifference[];
  try {
    differences = comparePolicies(before, after, at, MAX_SUMMARY_STEPS);
  } catch (error) {
    if (!(error instanceof ZgateError)) throw error;
    return [`${error.message} in passing: see zgate policy diff`];
  }
  const lines = groupByChange(differences).flatMap(({ clients, lines }) => lines.map((line) => `${clients}: ${line}`));
  if (lines.length <= MAX_SUMMARY_LINES) return lines;
  return [...lines.slice(0, MAX_SUMMARY_LINES), `and ${lines.length - MAX_SUMMARY_LINES} more changes`];
}

function ruleCount({ clients, groups }: PolicyDocument): number {
  return [...clients.values(), ...groups.values()].reduce((sum, { rules }) => sum + rules.length, 0);
}

/** More names than this are counted. */
const MAX_NAMES = 8;

/** Clients for whom the same changes are named together. */
export function groupByChange(
  differences: readonly ClientDifference[],
): { clients: string; lines: readonly string[] }[] {
  const byLines = Map.groupBy(differences, (difference) => describeDifference(difference).join("\n"));
  return [...byLines].map(([lines, same]) => ({
    clients: namesOf(same.map(({ client }) => client)),
    lines: lines.split("\n"),
  }));
}

function namesOf(names: readonly string[]): string {
  if (names.length <= MAX_NAMES) return names.join(", ");
  return `${names.slice(0, MAX_NAMES).join(", ")} and ${names.length - MAX_NAMES} more clients`;
}
