/** Named destinations: names of prefixes and of other names, resolved to prefixes without cycles. */
import { plainOf, type YamlEntry, type YamlNode } from "../yaml/node.ts";
import type { SourceText } from "../yaml/source.ts";
import type { Prefix } from "./address.ts";
import { Complaint } from "./complaint.ts";
import { MAX_NAME_DEPTH, MAX_RULE_DESTINATIONS } from "./constants.ts";
import type { Place } from "./document.ts";
import type { ProblemList } from "./problem-list.ts";
import { destinationSchema, parseDestinationName } from "./schema.ts";
import { checkShape } from "./schema-problem.ts";

interface Definition {
  readonly place: Place;
  readonly node: YamlNode;
  readonly items: readonly (Prefix | string)[];
  state: "new" | "resolving" | "resolved";
  prefixes: readonly Prefix[];
}

export class DestinationNames {
  readonly #problems: ProblemList;
  readonly #definitions = new Map<string, Definition>();
  /** Pairs handed out so far: what names stand for counts each time. */
  #handedOut = 0;
  /** Names that are being resolved, each for the one before. */
  #depth = 0;

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  define(source: SourceText, { key, keyOffset, value: node }: YamlEntry): void {
    const name = parseDestinationName(key);
    if (name instanceof Complaint) {
      this.#problems.add(source, keyOffset, name.message, name.hint);
      return;
    }
    const before = this.#definitions.get(key);
    if (before !== undefined) {
      this.#problems.twice(source, keyOffset, `destination ${JSON.stringify(key)}`, before.place);
      return;
    }
    const items = checkShape(this.#problems, source, node, destinationSchema, plainOf(node)) ?? [];
    this.#definitions.set(key, { place: { source, offset: keyOffset }, node, items, state: "new", prefixes: [] });
  }

  /** Resolves all names, so that a wrong one is found even where no rule uses it. */
  finish(): void {
    for (const definition of this.#definitions.values()) this.#prefixesOf(definition);
  }

  /**
   * The prefixes that `items` stand for; `list` is where they are written. Each counts `weight` times: a rule is
   * compiled once for each of its destinations with each of its ports.
   */
  resolve(
    source: SourceText,
    items: readonly (Prefix | string)[],
    list: YamlNode | undefined,
    weight: number,
  ): readonly Prefix[] {
    if (this.#handedOut > MAX_RULE_DESTINATIONS || this.#problems.full) return [];
    const prefixes = items.flatMap((item, index) =>
      typeof item === "string" ? this.#lookUp(source, item, list, index) : item,
    );
    this.#handedOut += prefixes.length * weight;
    if (this.#handedOut > MAX_RULE_DESTINATIONS && list !== undefined) {
      const message = `the rules up to here have more than ${MAX_RULE_DESTINATIONS} pairs of a destination and a port, names counted as what they stand for`;
      this.#problems.add(source, list.offset, message, "use larger prefixes, or groups that share rules");
    }
    return prefixes;
  }

  #prefixesOf(definition: Definition): readonly Prefix[] {
    if (definition.state !== "new") return definition.prefixes;
    definition.state = "resolving";
    this.#depth++;
    definition.prefixes = this.resolve(definition.place.source, definition.items, definition.node, 1);
    this.#depth--;
    definition.state = "resolved";
    return definition.prefixes;
  }

  #lookUp(source: SourceText, name: string, list: YamlNode | undefined, index: number): readonly Prefix[] {
    const offset = (list?.kind === "sequence" ? list.items[index] : list)?.offset ?? 0;
    const definition = this.#definitions.get(name);
    if (definition === undefined) {
      const hint = this.#problems.suggestion(name, this.#definitions) ?? "define it under the top-level destinations";
      this.#problems.add(source, offset, `destination ${JSON.stringify(name)} is not defined`, hint);
      return [];
    }
    if (definition.state === "resolving") {
      this.#problems.add(
        source,
        offset,
        `destination ${JSON.stringify(name)} stands for itself`,
        "remove it from the circle",
      );
      return [];
    }
    if (this.#depth >= MAX_NAME_DEPTH) {
      this.#problems.add(source, offset, `names of destinations are nested more than ${MAX_NAME_DEPTH} deep`);
      return [];
    }
    return this.#prefixesOf(definition);
  }
}
