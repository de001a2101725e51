/** The `rules` of a client or group: each checked alone, then what depends on several keys or on other rules. */
import { entryOf, plainOf, type YamlNode } from "../yaml/node.ts";
import type { SourceText } from "../yaml/source.ts";
import { MAX_SCHEDULES, MINUTES_A_DAY } from "./constants.ts";
import type { DestinationNames } from "./destination-names.ts";
import type { Place, PolicyRule } from "./document.ts";
import type { ProblemList } from "./problem-list.ts";
import type { TimeCondition } from "./schedule.ts";
import { type ParsedRule, ruleSchema } from "./schema.ts";
import { checkShape } from "./schema-problem.ts";

export class RuleParser {
  readonly #problems: ProblemList;
  readonly #names: DestinationNames;
  readonly #schedules = new Set<string>();

  constructor(problems: ProblemList, names: DestinationNames) {
    this.#problems = problems;
    this.#names = names;
  }

  /** The rules of `owner`, a client or group; those that are wrong are left out, with their problems. */
  parseList(source: SourceText, owner: YamlNode): PolicyRule[] {
    const list = entryOf(owner, "rules")?.value;
    if (list?.kind !== "sequence") return [];
    const rules: PolicyRule[] = [];
    const places = new Map<string, Place>();
    for (const node of list.items) {
      if (this.#problems.full) break;
      const parsed = checkShape(this.#problems, source, node, ruleSchema, plainOf(node));
      if (parsed === undefined) continue;
      const place = { source, offset: node.offset };
      const before = places.get(parsed.id);
      if (before !== undefined) {
        const idOffset = entryOf(node, "id")?.value.offset ?? node.offset;
        this.#problems.twice(source, idOffset, `rule id ${JSON.stringify(parsed.id)}`, before);
        continue;
      }
      places.set(parsed.id, place);
      rules.push(this.#rule(parsed, node, place));
    }
    return rules;
  }

  #rule(parsed: ParsedRule, node: YamlNode, place: Place): PolicyRule {
    const { source } = place;
    const { id, action, type, ports, log } = parsed;
    this.#checkKeys(parsed, node, source);
    const list = entryOf(node, "destinations")?.value;
    const weight = ports?.length ?? 1;
    const reason = parsed.metadata?.["reason"];
    return {
      id,
      action,
      enabled: parsed.enabled ?? true,
      destinations:
        type === "default" ? undefined : this.#names.resolve(source, parsed.destinations ?? [], list, weight),
      ports,
      time: this.#time(parsed, place),
      log,
      reason: typeof reason === "string" ? reason : parsed.description,
      place,
    };
  }

  #checkKeys({ type, not_before, not_after }: ParsedRule, node: YamlNode, source: SourceText): void {
    const destinations = entryOf(node, "destinations");
    if (type === "default" && destinations !== undefined) {
      const hint = "remove destinations, or write type: ip_cidr";
      this.#problems.add(source, destinations.keyOffset, "a rule of type default matches every address", hint);
    }
    if (type === "ip_cidr" && destinations === undefined) {
      const hint = "write destinations: […], or type: default for every address";
      this.#problems.add(source, node.offset, "a rule of type ip_cidr needs destinations", hint);
    }
    if (not_before !== undefined && not_after !== undefined && not_before >= not_after) {
      const offset = entryOf(node, "not_after")?.value.offset ?? node.offset;
      this.#problems.add(source, offset, "not_after is not later than not_before, so the rule would never be in force");
    }
  }

  #time(parsed: ParsedRule, { source, offset }: Place): TimeCondition | undefined {
    const time = timeOf(parsed);
    if (time === undefined || time.windows.length === 0) return time;
    this.#schedules.add(JSON.stringify(time));
    if (this.#schedules.size > MAX_SCHEDULES) {
      this.#problems.add(source, offset, `the policy has more than ${MAX_SCHEDULES} different schedules`);
    }
    return time;
  }
}

function timeOf({ not_before, not_after, schedule }: ParsedRule): TimeCondition | undefined {
  if (not_before === undefined && not_after === undefined && schedule === undefined) return undefined;
  const windows = (schedule ?? []).map(({ days, hours, timezone }) => ({
    days: (days ?? EVERY_DAY).reduce((set, day) => set | day, 0),
    hours: hours ?? ALL_DAY,
    timezone,
  }));
  return { notBefore: not_before, notAfter: not_after, windows };
}

/** Bits 1 to 7. */
const EVERY_DAY = [0b1111_1110];
const ALL_DAY = [{ from: 0, to: MINUTES_A_DAY }];
