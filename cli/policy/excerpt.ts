/** Problems for people: the place, the line of the file, and a caret under the column. */
import { readFileSync } from "node:fs";
import { styleText } from "node:util";
import type { PolicyProblem } from "../../shared/policy/problem.ts";

/** Longer lines are cut around the caret. Characters. */
const MAX_SHOWN = 160;

/** The problems of files on disk; a file that cannot be read any more is shown without its lines. */
export function describeProblems(problems: readonly PolicyProblem[]): string[] {
  const linesOf = new Map<string, readonly string[]>();
  return problems.flatMap((problem) => {
    const lines = linesOf.get(problem.file) ?? readLines(problem.file);
    linesOf.set(problem.file, lines);
    const hint = problem.hint === undefined ? "" : `; ${styleText("cyan", problem.hint)}`;
    const place = styleText("bold", `${problem.file}:${problem.line}:${problem.column}:`);
    return [`${place} ${styleText("red", problem.message)}${hint}`, ...excerpt(problem, lines[problem.line - 1])];
  });
}

function readLines(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").split(/\r\n|\n|\r/);
  } catch {
    return [];
  }
}

function excerpt({ line, column }: PolicyProblem, text: string | undefined): string[] {
  if (text === undefined || text.trim() === "") return [];
  const from = Math.max(0, column - 1 - MAX_SHOWN / 2);
  // Tabs and other control characters would move the caret, and the terminal.
  const shown = text.slice(from, from + MAX_SHOWN).replaceAll(/\p{C}/gu, " ");
  const margin = String(line).padStart(5);
  const caret = " ".repeat(column - 1 - from);
  return [
    `${styleText("dim", `${margin} |`)} ${shown}`,
    `${styleText("dim", `${" ".repeat(5)} |`)} ${caret}${styleText("red", "^")}`,
  ];
}
