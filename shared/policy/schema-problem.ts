/** The schema's issues as problems at their places, in words that a policy's author uses. */
import type * as z from "zod";
import { describeNode, keyOffsetOf, type YamlNode } from "../yaml/node.ts";
import type { SourceText } from "../yaml/source.ts";
import { didYouMean } from "../yaml/suggestion.ts";
import { Complaint, quoted } from "./complaint.ts";
import type { PolicyProblem } from "./problem.ts";
import type { ProblemList } from "./problem-list.ts";

type Issue = z.core.$ZodIssue;

/** The value as the schema makes it; undefined when it is wrong, with the problems taken into the list. */
export function checkShape<Schema extends z.ZodType>(
  problems: ProblemList,
  source: SourceText,
  node: YamlNode,
  schema: Schema,
  value: unknown,
): z.output<Schema> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  problems.pushAll(schemaProblems(source, node, result.error.issues));
  return undefined;
}

/** Issues about `node` as problems in `source`, made as they are asked for: there may be very many. */
function* schemaProblems(
  source: SourceText,
  node: YamlNode,
  issues: readonly Issue[],
): Generator<PolicyProblem, void, undefined> {
  for (const issue of issues) yield* problemsOf(source, node, issue);
}

function* problemsOf(source: SourceText, root: YamlNode, issue: Issue): Generator<PolicyProblem, void, undefined> {
  const { node, missing } = nodeAt(root, issue.path);
  const problem = (message: string, hint?: string): PolicyProblem => source.problem(node.offset, message, hint);
  if (missing !== undefined) {
    yield problem(`${JSON.stringify(missing)} is missing`, expectation(issue));
    return;
  }
  switch (issue.code) {
    case "unrecognized_keys":
      for (const key of issue.keys) {
        const offset = keyOffsetOf(node, [], key);
        yield source.problem(offset, `unknown key ${quoted(key)}`, unknownKeyHint(key, issue.message));
      }
      return;
    case "invalid_union": {
      const branch = issue.errors.find((errors) =>
        errors.some((inner) => inner.path.length > 0 || inner.code !== "invalid_type"),
      );
      if (branch === undefined) yield problem(`found ${describeNode(node)}`, issue.message);
      else yield* schemaProblems(source, node, branch);
      return;
    }
    case "invalid_value": {
      const hint = node.kind === "scalar" ? didYouMean(node.text, issue.values.map(String)) : undefined;
      yield problem(`found ${describeNode(node)}`, hint ?? expectation(issue));
      return;
    }
    case "custom":
      yield problem(issue.message, complaintOf(issue)?.hint);
      return;
    default:
      yield problem(`found ${describeNode(node)}`, expectation(issue));
  }
}

/** What `parsed` in `schema.ts` puts into its issues. */
function complaintOf({ params }: z.core.$ZodIssueCustom): Complaint | undefined {
  const complaint: unknown = params?.["complaint"];
  return complaint instanceof Complaint ? complaint : undefined;
}

/** The node at the end of the path, or the nearest one above and the key that it lacks. */
function nodeAt(root: YamlNode, path: readonly PropertyKey[]): { node: YamlNode; missing: string | undefined } {
  let node = root;
  for (const step of path) {
    const next =
      node.kind === "sequence"
        ? node.items[Number(step)]
        : node.kind === "mapping"
          ? node.entries.find(({ key }) => key === step)?.value
          : undefined;
    if (next === undefined) return { node, missing: String(step) };
    node = next;
  }
  return { node, missing: undefined };
}

function unknownKeyHint(key: string, known: string): string {
  const keys = known.split(" ");
  return didYouMean(key, keys) ?? `expected one of ${keys.join(", ")}`;
}

const TYPE_WORDS = new Map([
  ["array", "a list"],
  ["boolean", "true or false"],
  ["int", "a whole number"],
  ["number", "a number"],
  ["object", "a mapping"],
  ["record", "a mapping"],
  ["string", "a string"],
]);

const UNIT_OF = new Map([
  ["array", " entries"],
  ["string", " characters"],
]);

function expectation(issue: Issue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${TYPE_WORDS.get(issue.expected) ?? issue.expected}`;
    case "invalid_value":
      return `expected ${issue.values.map(String).join(" or ")}`;
    case "invalid_union":
      return issue.message;
    case "too_small":
      return issue.origin === "array" ? "expected at least one entry" : `expected at least ${issue.minimum}`;
    case "too_big":
      return `expected at most ${issue.maximum}${UNIT_OF.get(issue.origin) ?? ""}`;
    default:
      return issue.message;
  }
}
