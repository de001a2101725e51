/**
 * Which part of the project may import which: `cli → agent|relay → shared → native`. Tests, benchmarks and
 * tools stand outside and look in.
 *
 *   1. `importsOf` finds the module specifiers of a source text, static and dynamic, with their lines
 *   2. `judgeImports` holds each against the table and says what is wrong with it
 */
import { posix } from "node:path";

/** The top-level folders and what each may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  shared: [],
  agent: ["shared"],
  relay: ["shared"],
  cli: ["agent", "relay", "shared"],
  tools: ["shared", "cli"],
  docs: ["shared", "agent", "relay", "cli"],
  e2e: ["shared"],
  bench: ["shared", "agent", "relay", "e2e"],
};

/** Where every part may read the version. */
const VERSION_SOURCE = "package.json";

/** A specifier as it stands in the source; `line` counts from 1. */
export interface ImportSite {
  readonly specifier: string;
  readonly line: number;
}

/** One broken rule; `file` is relative to the root of the repository, with forward slashes. */
export interface ImportProblem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

const COMMENT_OR_TEXT = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*(["'])([^"'\n]+)\1/g;

/** The specifiers of `import … from`, `export … from`, `import "…"` and `import("…")` in a TypeScript text. */
export function importsOf(source: string): ImportSite[] {
  const code = source.replace(COMMENT_OR_TEXT, (text) =>
    text.startsWith("/*") || text.startsWith("//") || text.startsWith("`") ? text.replace(/[^\n]/g, " ") : text,
  );
  return Array.from(code.matchAll(IMPORT), (match) => ({
    specifier: match[2] ?? "",
    line: code.slice(0, match.index).split("\n").length,
  }));
}

/** What is wrong with the imports of `file`, a path such as `relay/relay.ts`. */
export function judgeImports(file: string, source: string): ImportProblem[] {
  const from = topFolder(file);
  const allowed = MAY_IMPORT[from];
  if (allowed === undefined) {
    return [{ file, line: 1, message: `${from}/ has no entry in the table of tools/import-rules.ts: add one` }];
  }
  const problems: ImportProblem[] = [];
  for (const { specifier, line } of importsOf(source)) {
    if (!specifier.startsWith(".")) continue;
    const target = posix.normalize(posix.join(posix.dirname(file), specifier));
    const to = topFolder(target);
    if (target === VERSION_SOURCE) continue;
    if (to !== from && !allowed.includes(to)) {
      const list = allowed.length === 0 ? "nothing else" : allowed.map((folder) => `${folder}/`).join(", ");
      problems.push({ file, line, message: `${from}/ may not import ${target}: it may import itself and ${list}` });
    }
    if (!/\.(ts|json|node)$/.test(specifier)) {
      problems.push({ file, line, message: `"${specifier}" needs its file extension: Node runs the source as it is` });
    }
  }
  return problems;
}

function topFolder(path: string): string {
  return path.split("/", 1)[0] ?? "";
}
