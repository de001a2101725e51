/** Collects what is wrong with a policy, up to a bound. */
import { describeNode, type YamlNode } from "../yaml/node.ts";
import type { SourceText } from "../yaml/source.ts";
import { didYouMean } from "../yaml/suggestion.ts";
import { MAX_PROBLEMS, MAX_SUGGESTED_NAMES, MAX_SUGGESTIONS } from "./constants.ts";
import type { Place } from "./document.ts";
import type { PolicyProblem } from "./problem.ts";

export class ProblemList {
  readonly #problems: PolicyProblem[] = [];

  get length(): number {
    return this.#problems.length;
  }

  /** Nothing more is taken: it is pointless to go on looking. */
  get full(): boolean {
    return this.#problems.length >= MAX_PROBLEMS;
  }

  push(problem: PolicyProblem): void {
    if (!this.full) this.#problems.push(problem);
  }

  /** Takes as many as there is room for. */
  pushAll(problems: Iterable<PolicyProblem>): void {
    for (const problem of problems) {
      this.push(problem);
      if (this.full) return;
    }
  }

  add(source: SourceText, offset: number, message: string, hint?: string): void {
    if (!this.full) this.push(source.problem(offset, message, hint));
  }

  at({ source, offset }: Place, message: string, hint?: string): void {
    this.add(source, offset, message, hint);
  }

  /** "did you mean …?", for the first problems only, and not among very many names: it would take seconds. */
  suggestion(name: string, known: ReadonlyMap<string, unknown>): string | undefined {
    if (this.#problems.length >= MAX_SUGGESTIONS || known.size > MAX_SUGGESTED_NAMES) return undefined;
    return didYouMean(name, known.keys());
  }

  /** A node of the wrong kind. */
  unexpected(source: SourceText, node: YamlNode, expected: string): void {
    this.add(source, node.offset, `found ${describeNode(node)}`, `expected ${expected}`);
  }

  /** Something that may stand once and stands twice; `before` is the first place. */
  twice(source: SourceText, offset: number, what: string, before: Place): void {
    this.add(source, offset, `${what} is defined twice`, `first at ${formatPlace(before)}`);
  }

  /** By line and column; files in the order in which they were first complained about. */
  sorted(): readonly PolicyProblem[] {
    const files = [...new Set(this.#problems.map(({ file }) => file))];
    return this.#problems.toSorted(
      (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column,
    );
  }
}

/** `file:line:column` */
export function formatPlace({ source, offset }: Place): string {
  const { line, column } = source.position(offset);
  return `${source.file}:${line}:${column}`;
}
