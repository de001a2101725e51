/**
 * A configuration file: YAML text → the raw text of each option with its place; unknown keys are problems with the
 * place and the nearest known key.
 */
import { dirname, resolve } from "node:path";
import { describeNode } from "../yaml/node.ts";
import type { YamlNode } from "../yaml/node.ts";
import { parseYaml } from "../yaml/parse.ts";
import { formatProblem, SourceText } from "../yaml/source.ts";
import { didYouMean } from "../yaml/suggestion.ts";
import type { OptionRow } from "./option.ts";

/** An option's value before it is checked, and what a message calls the place it came from. */
export interface RawValue {
  /** A list where the option is repeatable. */
  readonly raw: string | readonly string[];
  /** `--pool4`, `ZGATE_POOL4`, `relay.yaml:3:8: pool4`. */
  readonly place: string;
}

export interface ConfigFile {
  /** By the option's name in code. */
  readonly values: ReadonlyMap<string, RawValue>;
  /** Each a whole line. */
  readonly problems: readonly string[];
  /** Of the problems, those that are keys that do not exist. */
  readonly unknownKeys: number;
}

/** Reads options out of the text of a file. Never throws on any text. */
export function parseConfigFile(file: string, text: string, rows: readonly OptionRow[]): ConfigFile {
  const source = new SourceText(file, text);
  const parsed = parseYaml(source);
  const problems = parsed.problems.map(formatProblem);
  const values = new Map<string, RawValue>();
  let unknownKeys = 0;
  const { root } = parsed;
  const refuse = (offset: number, message: string, hint?: string): void => {
    problems.push(formatProblem(source.problem(offset, message, hint)));
  };
  const empty = root?.kind === "scalar" && root.value === null;
  if (root !== undefined && root.kind !== "mapping" && !empty) {
    refuse(root.offset, `expected a mapping of options, got ${describeNode(root)}`);
  }
  for (const entry of root?.kind === "mapping" ? root.entries : []) {
    const row = rows.find((known) => known.key === entry.key);
    if (row === undefined) {
      unknownKeys++;
      const known = rows.map((candidate) => candidate.key);
      refuse(entry.keyOffset, `there is no option ${JSON.stringify(entry.key)}`, didYouMean(entry.key, known));
      continue;
    }
    const raw = rawOf(entry.value, row);
    if (raw === undefined) {
      const expected = row.repeatable ? "a value or a list of values" : "one value";
      refuse(entry.value.offset, `${row.key}: expected ${expected}, got ${describeNode(entry.value)}`);
      continue;
    }
    const { line, column } = source.position(entry.value.offset);
    const resolved = row.path === true && typeof raw === "string" ? besideFile(file, raw) : raw;
    values.set(row.name, { raw: resolved, place: `${file}:${line}:${column}: ${row.key}` });
  }
  return { values, problems, unknownKeys };
}

/** The scalars as they are written, so that files, flags and variables are checked alike. */
function rawOf(node: YamlNode, row: OptionRow): string | readonly string[] | undefined {
  const one = textOf(node);
  if (!row.repeatable) return one;
  if (one !== undefined) return [one];
  if (node.kind !== "sequence") return undefined;
  const texts = node.items.map(textOf).filter((text) => text !== undefined);
  return texts.length === node.items.length ? texts : undefined;
}

function textOf(node: YamlNode): string | undefined {
  return node.kind === "scalar" && node.value !== null ? node.text : undefined;
}

/** `-` is standard output, not a file. */
function besideFile(file: string, path: string): string {
  return path === "-" || path === "" ? path : resolve(dirname(file), path);
}
