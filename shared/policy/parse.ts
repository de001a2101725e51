/**
 * Positioned YAML trees of one or more files → a checked `PolicyDocument`, or every problem there is.
 *
 *   sections of each file ─▶ schema, one rule at a time ─▶ names resolved ─▶ checks across the whole
 */
import type * as z from "zod";
import { entryOf, plainOf, type YamlEntry, type YamlMapping, type YamlNode } from "../yaml/node.ts";
import { parseYaml } from "../yaml/parse.ts";
import { SourceText } from "../yaml/source.ts";
import { Complaint } from "./complaint.ts";
import { checkTests, checkWhole } from "./cross-check.ts";
import { DestinationNames } from "./destination-names.ts";
import type { Action, Limits, Place, PolicyClient, PolicyDocument, PolicyGroup, PolicyTest } from "./document.ts";
import { PolicyError, type PolicyProblem } from "./problem.ts";
import { ProblemList } from "./problem-list.ts";
import { clientSchema, fileSchema, groupSchema, parseName, type ParsedClient, testSchema } from "./schema.ts";
import { RuleParser } from "./rule-parser.ts";
import { checkShape } from "./schema-problem.ts";
import { testOf } from "./test-case.ts";

/** A file that was read, and those that it includes, by their place among `include`. */
export interface PolicyFile {
  readonly source: SourceText;
  /** Undefined when it is not YAML; then `problems` says why. */
  readonly root: YamlNode | undefined;
  readonly problems: readonly PolicyProblem[];
  /** Undefined when there is no disk to include anything from. */
  readonly includes: readonly PolicyFile[] | undefined;
}

/** Reads one text that includes nothing. Throws a `PolicyError`. */
export function parsePolicy(text: string, file = "policy.yaml"): PolicyDocument {
  const source = new SourceText(file, text);
  return parsePolicyFiles({ source, ...parseYaml(source), includes: undefined });
}

/** Joins the files to one policy. Throws a `PolicyError` with the problems of all of them. */
export function parsePolicyFiles(main: PolicyFile): PolicyDocument {
  const parser = new PolicyParser();
  parser.takeMain(main);
  const document = parser.finish();
  if (parser.problems.length > 0) throw new PolicyError("ZG_POLICY_INVALID", parser.problems.sorted());
  return document;
}

class PolicyParser {
  readonly problems = new ProblemList();

  #defaultAction: Action = "deny";
  #metadata: Readonly<Record<string, unknown>> = {};
  readonly #names = new DestinationNames(this.problems);
  readonly #rules = new RuleParser(this.problems, this.#names);
  readonly #clients = new Map<string, PolicyClient>();
  readonly #groups = new Map<string, PolicyGroup>();
  readonly #tests: PolicyTest[] = [];
  /** Sections wait here until every file's destinations are known. */
  readonly #waiting: (() => void)[] = [];
  #hasClients = false;
  #main: Place | undefined;

  takeMain(file: PolicyFile): void {
    const { source, root } = file;
    this.#main = { source, offset: root?.offset ?? 0 };
    const top = this.#takeFile(file);
    if (root?.kind !== "mapping") return;
    this.#defaultAction = top?.default_action ?? "deny";
    this.#metadata = top?.metadata ?? {};
    if (entryOf(root, "version") === undefined) {
      this.problems.add(source, root.offset, '"version" is missing', 'expected version: "1.0"');
    }
  }

  finish(): PolicyDocument {
    this.#names.finish();
    for (const section of this.#waiting) {
      if (this.problems.full) break;
      section();
    }
    const document: PolicyDocument = {
      metadata: this.#metadata,
      defaultAction: this.#defaultAction,
      clients: this.#clients,
      groups: this.#groups,
      tests: this.#tests,
    };
    if (!this.#hasClients && this.#main !== undefined && this.problems.length === 0) {
      this.problems.add(
        this.#main.source,
        this.#main.offset,
        '"clients" is missing',
        "write clients: {} to admit nobody",
      );
    }
    checkWhole(document, this.problems);
    checkTests(document, this.problems);
    return document;
  }

  #takeFile(file: PolicyFile): z.output<typeof fileSchema> | undefined {
    const { source, root } = file;
    for (const problem of file.problems) this.problems.push(problem);
    if (root === undefined) return undefined;
    if (root.kind !== "mapping") {
      const found = root.kind === "scalar" && root.value === null ? "the file is empty" : "this is not a mapping";
      this.problems.add(source, root.offset, found, 'expected a policy that begins with version: "1.0"');
      return undefined;
    }
    const top = checkShape(this.problems, source, root, fileSchema, shallow(root));
    for (const entry of root.entries) {
      if (this.problems.full) break;
      this.#section(file, entry);
    }
    return top;
  }

  #section(file: PolicyFile, { key, keyOffset, value }: YamlEntry): void {
    const { source } = file;
    switch (key) {
      case "version":
        if (value.kind !== "scalar" || value.text !== "1.0") {
          this.problems.add(
            source,
            value.offset,
            "this version of the policy language is not known",
            'expected version: "1.0"',
          );
        }
        return;
      case "default_action":
        if (source !== this.#main?.source) {
          this.problems.add(source, keyOffset, "only the main file may give default_action", "remove it here");
        }
        return;
      case "include":
        if (file.includes === undefined)
          this.problems.add(source, keyOffset, "only a policy that is a file can include files");
        for (const included of file.includes ?? []) this.#takeFile(included);
        return;
      case "destinations":
        this.#eachEntry(source, value, key, (entry) => this.#names.define(source, entry));
        return;
      case "groups":
        this.#eachEntry(source, value, key, (entry) => this.#waiting.push(() => this.#group(source, entry)));
        return;
      case "clients":
        this.#hasClients = true;
        this.#eachEntry(source, value, key, (entry) => this.#waiting.push(() => this.#client(source, entry)));
        return;
      case "tests":
        if (value.kind === "sequence")
          for (const item of value.items) this.#waiting.push(() => this.#test(source, item));
        else this.problems.unexpected(source, value, "a list of tests");
        return;
    }
  }

  #eachEntry(source: SourceText, node: YamlNode, section: string, take: (entry: YamlEntry) => void): void {
    if (node.kind === "mapping") for (const entry of node.entries) take(entry);
    else this.problems.unexpected(source, node, `a mapping from names to ${section}`);
  }

  #client(source: SourceText, entry: YamlEntry): void {
    const place = this.#named(source, entry, "client", this.#clients);
    // `alice:` with nothing behind it is a client without rules of its own.
    const empty = entry.value.kind === "scalar" && entry.value.value === null;
    const parsed = empty ? {} : checkShape(this.problems, source, entry.value, clientSchema, withoutRules(entry.value));
    const rules = this.#rules.parseList(source, entry.value);
    if (place === undefined) return;
    const limits = limitsOf(parsed ?? {});
    this.#clients.set(entry.key, { name: entry.key, enabled: parsed?.enabled ?? true, limits, rules, place });
  }

  #group(source: SourceText, entry: YamlEntry): void {
    const place = this.#named(source, entry, "group", this.#groups);
    const parsed = checkShape(this.problems, source, entry.value, groupSchema, withoutRules(entry.value));
    const rules = this.#rules.parseList(source, entry.value);
    if (place === undefined) return;
    const listed = entryOf(entry.value, "members")?.value;
    const members = (parsed?.members ?? []).map((name, index) => ({
      name,
      place: {
        source,
        offset: (listed?.kind === "sequence" ? listed.items[index]?.offset : undefined) ?? entry.keyOffset,
      },
    }));
    const limits = limitsOf(parsed ?? {});
    this.#groups.set(entry.key, { name: entry.key, enabled: parsed?.enabled ?? true, members, limits, rules, place });
  }

  /** Where a client or group stands, unless its name cannot be one or is taken. */
  #named(
    source: SourceText,
    { key, keyOffset }: YamlEntry,
    what: string,
    known: ReadonlyMap<string, { readonly place: Place }>,
  ): Place | undefined {
    const name = parseName(key);
    if (name instanceof Complaint) {
      this.problems.add(source, keyOffset, name.message, name.hint);
      return undefined;
    }
    const before = known.get(key);
    if (before !== undefined) {
      this.problems.twice(source, keyOffset, `${what} ${JSON.stringify(key)}`, before.place);
      return undefined;
    }
    return { source, offset: keyOffset };
  }

  #test(source: SourceText, node: YamlNode): void {
    const parsed = checkShape(this.problems, source, node, testSchema, plainOf(node));
    if (parsed === undefined) return;
    const test = testOf(parsed, { source, offset: node.offset });
    if (test instanceof Complaint) this.problems.add(source, node.offset, test.message, test.hint);
    else this.#tests.push(test);
  }
}

/** The outermost keys; what is below the sections is checked section by section. */
function shallow(root: YamlMapping): Record<string, unknown> {
  const plain: Record<string, unknown> = Object.create(null);
  for (const { key, value } of root.entries) plain[key] = SECTIONS.has(key) ? null : plainOf(value);
  return plain;
}

const SECTIONS = new Set(["version", "destinations", "groups", "clients", "tests"]);

/** A client or group as the schema wants it; rules are checked one by one. */
function withoutRules(node: YamlNode): unknown {
  if (node.kind !== "mapping") return plainOf(node);
  const plain: Record<string, unknown> = Object.create(null);
  for (const { key, value } of node.entries) {
    plain[key] = key === "rules" && value.kind === "sequence" ? [] : plainOf(value);
  }
  return plain;
}

function limitsOf(parsed: Pick<ParsedClient, "max_sessions" | "rate_limit">): Limits {
  return {
    maxSessions: parsed.max_sessions,
    upBitsPerSecond: parsed.rate_limit?.up,
    downBitsPerSecond: parsed.rate_limit?.down,
  };
}
