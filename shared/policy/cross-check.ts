/** Checks that need the whole policy: members, rule ids that meet in one client, clients of tests. */
import { MAX_GROUPS_OF_CLIENT } from "./constants.ts";
import { type Place, type PolicyDocument, type PolicyGroup, type PolicyRule, groupsByClient } from "./document.ts";
import { type ProblemList, formatPlace } from "./problem-list.ts";

/** Members that exist, once each, and rule ids that are unique for every client. */
export function checkWhole(document: PolicyDocument, problems: ProblemList): void {
  for (const group of document.groups.values()) checkMembers(document, group, problems);
  const checker = new IdChecker(problems);
  for (const [client, groups] of groupsByClient(document)) {
    if (problems.full) return;
    const beyond = groups[MAX_GROUPS_OF_CLIENT];
    if (beyond !== undefined) {
      problems.at(beyond.place, `client ${JSON.stringify(client)} is in more than ${MAX_GROUPS_OF_CLIENT} groups`);
      continue;
    }
    const own = document.clients.get(client)?.rules ?? [];
    for (const [index, group] of groups.entries()) {
      checker.checkOwn(client, own, group);
      for (const other of groups.slice(0, index)) checker.checkPair(other, group);
    }
  }
}

function checkMembers(document: PolicyDocument, group: PolicyGroup, problems: ProblemList): void {
  const seen = new Set<string>();
  for (const { name, place } of group.members) {
    if (problems.full) return;
    const member = `member ${JSON.stringify(name)}`;
    if (seen.has(name)) problems.at(place, `${member} stands twice in group ${JSON.stringify(group.name)}`);
    seen.add(name);
    if (document.clients.has(name)) continue;
    const hint = problems.suggestion(name, document.clients) ?? "add it under clients";
    problems.at(place, `${member} of group ${JSON.stringify(group.name)} is not a client`, hint);
  }
}

/** A verdict names its rule by id alone, so an id may stand for one rule a client only. */
class IdChecker {
  readonly #problems: ProblemList;
  readonly #idsByGroup = new Map<PolicyGroup, ReadonlyMap<string, Place>>();
  readonly #pairs = new Map<PolicyGroup, Set<PolicyGroup>>();

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  checkOwn(client: string, rules: readonly PolicyRule[], group: PolicyGroup): void {
    const ids = this.#idsOf(group);
    for (const rule of rules) {
      const other = ids.get(rule.id);
      if (other === undefined) continue;
      this.#clash(
        rule,
        other,
        `client ${JSON.stringify(client)} also gets that one from group ${JSON.stringify(group.name)}`,
      );
    }
  }

  checkPair(first: PolicyGroup, second: PolicyGroup): void {
    const checked = this.#pairs.get(first) ?? new Set();
    this.#pairs.set(first, checked);
    if (checked.has(second)) return;
    checked.add(second);
    if (first.rules.length === 0 || second.rules.length === 0) return;
    const ids = this.#idsOf(first);
    for (const rule of second.rules) {
      const other = ids.get(rule.id);
      if (other === undefined) continue;
      this.#clash(
        rule,
        other,
        `groups ${JSON.stringify(first.name)} and ${JSON.stringify(second.name)} have a member in common`,
      );
    }
  }

  #clash(rule: PolicyRule, other: Place, why: string): void {
    const message = `rule id ${JSON.stringify(rule.id)} is also that of ${formatPlace(other)}`;
    this.#problems.at(rule.place, message, `${why}: choose another id`);
  }

  #idsOf(group: PolicyGroup): ReadonlyMap<string, Place> {
    const known = this.#idsByGroup.get(group);
    if (known !== undefined) return known;
    const ids = new Map(group.rules.map((rule) => [rule.id, rule.place]));
    this.#idsByGroup.set(group, ids);
    return ids;
  }
}

/** Tests that ask about clients that exist. */
export function checkTests(document: PolicyDocument, problems: ProblemList): void {
  for (const { client, place } of document.tests) {
    if (problems.full) return;
    if (document.clients.has(client)) continue;
    const hint = problems.suggestion(client, document.clients);
    problems.at(place, `the test asks about ${JSON.stringify(client)}, who is not a client`, hint);
  }
}
