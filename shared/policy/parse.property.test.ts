/** Random policies written as YAML (as JSON, which YAML includes) are read as what they were. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatPrefix } from "./address.ts";
import type { PolicyDocument, PolicyRule } from "./document.ts";
import { parsePolicy } from "./parse.ts";
import { policy } from "./policy-fixture.ts";
import { formatPortSelector } from "./port-selector.ts";
import type { TimeCondition, WeeklyWindow } from "./schedule.ts";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

function yamlOf(document: PolicyDocument): string {
  const clients = [...document.clients.values()].map(({ name, enabled, rules }) => [
    name,
    { enabled, rules: rules.map(ruleOf) },
  ]);
  const groups = [...document.groups.values()].map(({ name, enabled, members, rules }) => [
    name,
    { enabled, members: members.map((member) => member.name), rules: rules.map(ruleOf) },
  ]);
  return JSON.stringify({
    version: "1.0",
    default_action: document.defaultAction,
    clients: Object.fromEntries(clients),
    groups: Object.fromEntries(groups),
  });
}

function ruleOf({ id, action, enabled, destinations, ports, time }: PolicyRule): Record<string, unknown> {
  return {
    id,
    type: destinations === undefined ? "default" : "ip_cidr",
    action,
    enabled,
    destinations: destinations?.map(formatPrefix),
    ports: ports?.map(formatPortSelector),
    ...(time === undefined ? {} : timeOf(time)),
  };
}

function timeOf({ notBefore, notAfter, windows }: TimeCondition): Record<string, unknown> {
  return {
    not_before: notBefore === undefined ? undefined : new Date(notBefore).toISOString(),
    not_after: notAfter === undefined ? undefined : new Date(notAfter).toISOString(),
    schedule: windows.length === 0 ? undefined : windows.map(windowOf),
  };
}

function windowOf({ days, hours, timezone }: WeeklyWindow): Record<string, unknown> {
  return {
    days: DAYS.filter((_, index) => ((days >> (index + 1)) & 1) === 1),
    hours: hours.map(({ from, to }) => `${clock(from)}-${clock(to)}`),
    timezone,
  };
}

function clock(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

/** Without places, and without what a file cannot say. */
function essence({ defaultAction, clients, groups }: PolicyDocument): unknown {
  const rule = ({ id, action, enabled, destinations, ports, time, log }: PolicyRule): unknown => {
    return { id, action, enabled, destinations, ports, log, time: isAlways(time) ? undefined : time };
  };
  return {
    defaultAction,
    clients: [...clients.values()].map(({ name, enabled, rules }) => ({ name, enabled, rules: rules.map(rule) })),
    groups: [...groups.values()].map(({ name, enabled, members, rules }) => ({
      name,
      enabled,
      members: members.map((member) => member.name),
      rules: rules.map(rule),
    })),
  };
}

function isAlways(time: TimeCondition | undefined): boolean {
  return time !== undefined && time.notBefore === undefined && time.notAfter === undefined && time.windows.length === 0;
}

/** A rule that is never in force, and a mapped prefix, are refused in a file. */
function isWritable({ clients, groups }: PolicyDocument): boolean {
  return [...clients.values(), ...groups.values()].every(({ rules }) =>
    rules.every(({ time, destinations }) => {
      const never = time?.notBefore !== undefined && time.notAfter !== undefined && time.notBefore >= time.notAfter;
      const mapped = destinations?.some(
        ({ version, w0, w1, w2, length }) => version === 6 && w0 === 0 && w1 === 0 && w2 === 0xffff && length >= 96,
      );
      return !never && mapped !== true;
    }),
  );
}

test("a policy that is written is read as the same policy", () => {
  fc.assert(
    fc.property(policy.filter(isWritable), (document) => {
      // The clone gives fast-check's objects a prototype.
      assert.deepEqual(essence(parsePolicy(yamlOf(document))), structuredClone(essence(document)));
    }),
    { numRuns: 300 },
  );
});
