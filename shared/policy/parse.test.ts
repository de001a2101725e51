/** Every message of the parser, with its exact text and place, and what stays allowed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicy } from "./parse.ts";
import { PolicyError } from "./problem.ts";

/** A policy with one rule, which begins at line 5, column 9. */
function withRule(rule: string): string {
  return `version: "1.0"\nclients:\n  a:\n    rules:\n      - ${rule}\n`;
}

function problemsOf(text: string): readonly string[] {
  try {
    parsePolicy(text, "p.yaml");
    return [];
  } catch (error) {
    assert.ok(error instanceof PolicyError);
    assert.equal(error.code, "ZG_POLICY_INVALID");
    return error.message.split("\n");
  }
}

const REFUSED: readonly { name: string; text: string; problems: readonly string[] }[] = [
  {
    name: "empty file",
    text: "",
    problems: [`p.yaml:1:1: the file is empty; expected a policy that begins with version: "1.0"`],
  },
  {
    name: "comment only",
    text: "# nothing\n",
    problems: [`p.yaml:1:1: the file is empty; expected a policy that begins with version: "1.0"`],
  },
  {
    name: "a list",
    text: "- 1\n",
    problems: [`p.yaml:1:1: this is not a mapping; expected a policy that begins with version: "1.0"`],
  },
  {
    name: "not YAML: bad indentation",
    text: `version: "1.0"\nclients:\n  a: {\n`,
    problems: ["p.yaml:4:1: this is not YAML: deficient indentation"],
  },
  {
    name: "a tab",
    text: `version: "1.0"\nclients:\n\ta: {}\n`,
    problems: ["p.yaml:3:1: this is not YAML: tab characters must not be used in indentation"],
  },
  {
    name: "two documents",
    text: `version: "1.0"\nclients: {}\n---\nversion: "1.0"\n`,
    problems: ["p.yaml:4:1: a second document begins here; one is expected"],
  },
  {
    name: "no version",
    text: "clients: {}\n",
    problems: [`p.yaml:1:1: "version" is missing; expected version: "1.0"`],
  },
  {
    name: "other version",
    text: `version: "2.0"\nclients: {}\n`,
    problems: [`p.yaml:1:10: this version of the policy language is not known; expected version: "1.0"`],
  },
  {
    name: "no clients",
    text: `version: "1.0"\n`,
    problems: [`p.yaml:1:1: "clients" is missing; write clients: {} to admit nobody`],
  },
  {
    name: "clients is a list",
    text: `version: "1.0"\nclients: [a]\n`,
    problems: ["p.yaml:2:10: found a list; expected a mapping from names to clients"],
  },
  {
    name: "unknown top key near",
    text: `version: "1.0"\ndefault_acton: deny\nclients: {}\n`,
    problems: [`p.yaml:2:1: unknown key "default_acton"; did you mean "default_action"?`],
  },
  {
    name: "unknown top key far",
    text: `version: "1.0"\nfoo: 1\nclients: {}\n`,
    problems: [
      `p.yaml:2:1: unknown key "foo"; expected one of version, default_action, metadata, include, destinations, groups, clients, tests`,
    ],
  },
  {
    name: "default action",
    text: `version: "1.0"\ndefault_action: allowed\nclients: {}\n`,
    problems: [`p.yaml:2:17: found the string "allowed"; did you mean "allow"?`],
  },
  {
    name: "default action type",
    text: `version: "1.0"\ndefault_action: [deny]\nclients: {}\n`,
    problems: ["p.yaml:2:17: found a list; expected allow or deny"],
  },
  {
    name: "duplicate key",
    text: `version: "1.0"\nclients: {}\nclients: {}\n`,
    problems: [`p.yaml:3:1: key "clients" stands twice in the same mapping`],
  },
  {
    name: "client twice",
    text: `version: "1.0"\nclients:\n  a: {}\n  a: {}\n`,
    problems: [`p.yaml:4:3: key "a" stands twice in the same mapping`],
  },
  {
    name: "client name",
    text: `version: "1.0"\nclients:\n  " a": {}\n`,
    problems: [`p.yaml:3:3: the name " a" begins or ends with a space`],
  },
  {
    name: "client is a string",
    text: `version: "1.0"\nclients:\n  a: yes\n`,
    problems: [`p.yaml:3:6: found the string "yes"; expected a mapping`],
  },
  {
    name: "client key",
    text: `version: "1.0"\nclients:\n  a: { rule: [] }\n`,
    problems: [`p.yaml:3:8: unknown key "rule"; did you mean "rules"?`],
  },
  {
    name: "rules is mapping",
    text: `version: "1.0"\nclients:\n  a: { rules: {} }\n`,
    problems: ["p.yaml:3:15: found a mapping; expected a list"],
  },
  {
    name: "rule is a string",
    text: withRule("allow all"),
    problems: [`p.yaml:5:9: found the string "allow all"; expected a mapping`],
  },
  {
    name: "rule lacks all",
    text: withRule("{}"),
    problems: [
      `p.yaml:5:9: "id" is missing; expected a string`,
      `p.yaml:5:9: "type" is missing; expected ip_cidr or default`,
      `p.yaml:5:9: "action" is missing; expected allow or deny`,
    ],
  },
  {
    name: "rule id number",
    text: withRule("{ id: 1, type: default, action: deny }"),
    problems: ["p.yaml:5:15: found the number 1; expected a string"],
  },
  {
    name: "rule id empty",
    text: withRule(`{ id: "", type: default, action: deny }`),
    problems: ["p.yaml:5:15: an empty name; expected at least one character"],
  },
  {
    name: "rule type",
    text: withRule("{ id: x, type: ip_cdr, action: deny, destinations: [1.2.3.4] }"),
    problems: [`p.yaml:5:24: found the string "ip_cdr"; did you mean "ip_cidr"?`],
  },
  {
    name: "rule action",
    text: withRule("{ id: x, type: default, action: block }"),
    problems: [`p.yaml:5:41: found the string "block"; expected allow or deny`],
  },
  {
    name: "destinatons",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinatons: [1.2.3.4] }"),
    problems: [`p.yaml:5:47: unknown key "destinatons"; did you mean "destinations"?`],
  },
  {
    name: "default with destinations",
    text: withRule("{ id: x, type: default, action: deny, destinations: [1.2.3.4] }"),
    problems: [
      "p.yaml:5:47: a rule of type default matches every address; remove destinations, or write type: ip_cidr",
    ],
  },
  {
    name: "empty destinations",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: [] }"),
    problems: ["p.yaml:5:61: found a list; expected at least one entry"],
  },
  {
    name: "destinations string",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: 1.2.3.4 }"),
    problems: [`p.yaml:5:61: found the string "1.2.3.4"; expected a list`],
  },
  {
    name: "host bits",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: [10.1.2.3/8] }"),
    problems: [
      `p.yaml:5:62: "10.1.2.3/8" has bits set after its prefix; write 10.0.0.0/8 for the network or 10.1.2.3 for the one address`,
    ],
  },
  {
    name: "host bits 6",
    text: withRule(`{ id: x, type: ip_cidr, action: deny, destinations: ["2001:db8::1/32"] }`),
    problems: [
      `p.yaml:5:62: "2001:db8::1/32" has bits set after its prefix; write 2001:db8::/32 for the network or 2001:db8::1 for the one address`,
    ],
  },
  {
    name: "octet",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: [10.1.2.256] }"),
    problems: [
      `p.yaml:5:62: "10.1.2.256" is not an IP address; expected an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8 or 2001:db8::/32`,
    ],
  },
  {
    name: "leading zero",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: [10.01.2.3] }"),
    problems: [`p.yaml:5:62: "10.01.2.3" has a number with a leading zero, which some programs read as octal`],
  },
  {
    name: "length",
    text: withRule(
      `{ id: x, type: ip_cidr, action: deny, destinations: [10.0.0.0/33, 1.2.3.4/-1, "::/129", 1.2.3.4/] }`,
    ),
    problems: [
      `p.yaml:5:62: "10.0.0.0/33" has no prefix length from 0 to 32 after its slash`,
      `p.yaml:5:75: "1.2.3.4/-1" has no prefix length from 0 to 32 after its slash`,
      `p.yaml:5:87: "::/129" has no prefix length from 0 to 128 after its slash`,
      `p.yaml:5:97: "1.2.3.4/" has no prefix length from 0 to 32 after its slash`,
    ],
  },
  {
    name: "number",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: [10.1] }"),
    problems: ["p.yaml:5:62: found the number 10.1; expected a string"],
  },
  {
    name: "ipv6",
    text: withRule(`{ id: x, type: ip_cidr, action: deny, destinations: ["2001:db8:::1", "fe80::1%eth0"] }`),
    problems: [
      `p.yaml:5:62: "2001:db8:::1" is not an IPv6 address; expected an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8 or 2001:db8::/32`,
      `p.yaml:5:78: "fe80::1%eth0" is not an IPv6 address; expected an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8 or 2001:db8::/32`,
    ],
  },
  {
    name: "mapped",
    text: withRule(`{ id: x, type: ip_cidr, action: deny, destinations: ["::ffff:10.0.0.0/104"] }`),
    problems: [
      `p.yaml:5:62: "::ffff:10.0.0.0/104" is an IPv4-mapped IPv6 prefix, which no packet on the wire carries; write 10.0.0.0/8`,
    ],
  },
  {
    name: "undefined name",
    text: withRule("{ id: x, type: ip_cidr, action: deny, destinations: [example.org] }"),
    problems: [`p.yaml:5:62: destination "example.org" is not defined; define it under the top-level destinations`],
  },
  {
    name: "misspelt name",
    text: `destinations:\n  database: [10.0.0.1]\nversion: "1.0"\nclients:\n  a:\n    rules:\n      - { id: x, type: ip_cidr, action: deny, destinations: [databse] }\n`,
    problems: [`p.yaml:7:62: destination "databse" is not defined; did you mean "database"?`],
  },
  {
    name: "name circle",
    text: `version: "1.0"\ndestinations:\n  a: [b]\n  b: [a]\nclients: {}\n`,
    problems: [`p.yaml:4:7: destination "a" stands for itself; remove it from the circle`],
  },
  {
    name: "name bad",
    text: `version: "1.0"\ndestinations:\n  1a: [10.0.0.1]\n  ok: []\nclients: {}\n`,
    problems: [
      `p.yaml:3:3: "1a" cannot be the name of a destination; expected a letter, then letters, digits, dots, dashes and underscores`,
      "p.yaml:4:7: found a list; expected at least one entry",
    ],
  },
  {
    name: "ports string",
    text: withRule("{ id: x, type: default, action: deny, ports: tcp/443 }"),
    problems: [`p.yaml:5:54: found the string "tcp/443"; expected a list`],
  },
  {
    name: "ports bare",
    text: withRule(`{ id: x, type: default, action: deny, ports: ["443", 8080] }`),
    problems: [
      `p.yaml:5:55: "443" is not a port of a protocol; did you mean "tcp/443" or "udp/443"?`,
      "p.yaml:5:62: found the number 8080; expected a string",
    ],
  },
  {
    name: "ports word",
    text: withRule("{ id: x, type: default, action: deny, ports: [tpc/443, http, icmp/echo] }"),
    problems: [
      `p.yaml:5:55: "tpc/443" is not a port of a protocol; did you mean "tcp/443"?`,
      `p.yaml:5:64: "http" is not a port of a protocol; expected tcp/443, udp/8000-8100, tcp/*, icmp, icmp/echo-request, icmpv6 or proto/47`,
      `p.yaml:5:70: "icmp/echo" needs an ICMP type from 0 to 255; expected icmp/8, icmp/echo-request or icmp`,
    ],
  },
  {
    name: "ports range",
    text: withRule(
      "{ id: x, type: default, action: deny, ports: [tcp/65536, udp/20-10, tcp/, proto/300, proto, icmp/256, tcp/1-2-3] }",
    ),
    problems: [
      `p.yaml:5:55: "tcp/65536" needs a port from 0 to 65535; expected tcp/443, tcp/8000-8100 or tcp/*`,
      `p.yaml:5:66: "udp/20-10" is a range that ends before it starts; write 10-20`,
      `p.yaml:5:77: "tcp/" needs a port from 0 to 65535; expected tcp/443, tcp/8000-8100 or tcp/*`,
      `p.yaml:5:83: "proto/300" needs a protocol number from 0 to 255; expected one such as proto/47`,
      `p.yaml:5:94: "proto" needs a protocol number from 0 to 255; expected one such as proto/47`,
      `p.yaml:5:101: "icmp/256" needs an ICMP type from 0 to 255; expected icmp/8, icmp/echo-request or icmp`,
      `p.yaml:5:111: "tcp/1-2-3" needs a port from 0 to 65535; expected tcp/443, tcp/8000-8100 or tcp/*`,
    ],
  },
  {
    name: "empty ports",
    text: withRule("{ id: x, type: default, action: deny, ports: [] }"),
    problems: ["p.yaml:5:54: found a list; expected at least one entry"],
  },
  {
    name: "enabled",
    text: withRule("{ id: x, type: default, action: deny, enabled: yes }"),
    problems: [`p.yaml:5:56: found the string "yes"; expected true or false`],
  },
  {
    name: "log",
    text: withRule("{ id: x, type: default, action: deny, log: 1 }"),
    problems: ["p.yaml:5:52: found the number 1; expected true or false"],
  },
  {
    name: "not_before",
    text: withRule("{ id: x, type: default, action: deny, not_before: 2026-01-01 }"),
    problems: [
      `p.yaml:5:59: "2026-01-01" is not a point in time; expected a date, a time and an offset, such as 2026-12-31T18:00:00+01:00 or 2026-12-31T17:00:00Z`,
    ],
  },
  {
    name: "not_before calendar",
    text: withRule("{ id: x, type: default, action: deny, not_before: 2026-02-30T00:00:00Z }"),
    problems: [
      `p.yaml:5:59: "2026-02-30T00:00:00Z" is a point in time that no calendar has; expected a date, a time and an offset, such as 2026-12-31T18:00:00+01:00 or 2026-12-31T17:00:00Z`,
    ],
  },
  {
    name: "never",
    text: withRule(
      "{ id: x, type: default, action: deny, not_before: 2026-02-02T00:00:00Z, not_after: 2026-02-01T00:00:00Z }",
    ),
    problems: ["p.yaml:5:92: not_after is not later than not_before, so the rule would never be in force"],
  },
  {
    name: "schedule",
    text: withRule(
      "{ id: x, type: default, action: deny, schedule: { days: [mon, tues], hours: 8-18, timezone: Europe/Berln } }",
    ),
    problems: [
      `p.yaml:5:71: "tues" is not a day of the week; did you mean "tue"?`,
      `p.yaml:5:85: "8-18" is not a range of hours; expected a range such as 08:00-18:00, 22:00-06:00 or 00:00-24:00`,
      `p.yaml:5:101: "Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?`,
    ],
  },
  {
    name: "schedule no tz",
    text: withRule("{ id: x, type: default, action: deny, schedule: { days: mon-fri } }"),
    problems: [`p.yaml:5:57: "timezone" is missing; expected a string`],
  },
  {
    name: "schedule hours",
    text: withRule(
      `{ id: x, type: default, action: deny, schedule: { hours: ["08:00-08:00", "24:00-01:00", "10:00-24:30"], timezone: UTC } }`,
    ),
    problems: [
      `p.yaml:5:67: "08:00-08:00" is empty; expected a range such as 08:00-18:00, 22:00-06:00 or 00:00-24:00`,
      `p.yaml:5:82: "24:00-01:00" goes beyond 24:00; expected a range such as 08:00-18:00, 22:00-06:00 or 00:00-24:00`,
      `p.yaml:5:97: "10:00-24:30" goes beyond 24:00; expected a range such as 08:00-18:00, 22:00-06:00 or 00:00-24:00`,
    ],
  },
  {
    name: "schedule string",
    text: withRule("{ id: x, type: default, action: deny, schedule: weekdays }"),
    problems: [`p.yaml:5:57: found the string "weekdays"; expected days, hours and a timezone`],
  },
  {
    name: "schedule key",
    text: withRule("{ id: x, type: default, action: deny, schedule: { dys: mon, timezone: UTC } }"),
    problems: [`p.yaml:5:59: unknown key "dys"; did you mean "days"?`],
  },
  {
    name: "duplicate rule",
    text: `version: "1.0"\nclients:\n  a:\n    rules:\n      - { id: x, type: default, action: deny }\n      - { id: x, type: default, action: deny }\n`,
    problems: [`p.yaml:6:15: rule id "x" is defined twice; first at p.yaml:5:9`],
  },
  {
    name: "alias bad",
    text: `version: "1.0"\nclients:\n  a: *b\n`,
    problems: ["p.yaml:3:6: alias *b stands before or inside what it names, or names nothing"],
  },
  {
    name: "tag",
    text: `version: "1.0"\nclients: !!map {}\n`,
    problems: ["p.yaml:2:10: a YAML tag (!…) is not supported here"],
  },
  {
    name: "merge key",
    text: `version: "1.0"\nclients:\n  a: &a { enabled: true }\n  b: { <<: *a }\n`,
    problems: [
      `p.yaml:4:8: unknown key "<<"; expected one of description, enabled, max_sessions, rate_limit, metadata, rules`,
    ],
  },
  {
    name: "max_sessions",
    text: `version: "1.0"\nclients:\n  a: { max_sessions: 0, rate_limit: { up: fast, down: 0, sideways: 1 } }\n`,
    problems: [
      "p.yaml:3:22: found the number 0; expected at least 1",
      `p.yaml:3:43: "fast" is not a rate; expected bits per second from 1 to 1T, such as 500k, 10M or 1G`,
      "p.yaml:3:55: found the number 0; expected at least 1",
      `p.yaml:3:58: unknown key "sideways"; expected one of up, down`,
    ],
  },
  {
    name: "max_sessions type",
    text: `version: "1.0"\nclients:\n  a: { max_sessions: 1.5, rate_limit: 10M }\n`,
    problems: [
      "p.yaml:3:22: found the number 1.5; expected a whole number",
      `p.yaml:3:39: found the string "10M"; expected a mapping`,
    ],
  },
  {
    name: "members",
    text: `version: "1.0"\ngroups:\n  g: { members: [alise, alice, alice, zed] }\nclients:\n  alice:\n`,
    problems: [
      `p.yaml:3:18: member "alise" of group "g" is not a client; did you mean "alice"?`,
      `p.yaml:3:32: member "alice" stands twice in group "g"`,
      `p.yaml:3:39: member "zed" of group "g" is not a client; add it under clients`,
    ],
  },
  {
    name: "no members",
    text: `version: "1.0"\ngroups:\n  g: { rules: [] }\n  h:\nclients:\n  alice:\n`,
    problems: [`p.yaml:3:6: "members" is missing; expected a list`, "p.yaml:4:4: found nothing; expected a mapping"],
  },
  {
    name: "id clash",
    text: `version: "1.0"\ngroups:\n  g: { members: [a], rules: [{ id: x, type: default, action: deny }] }\n  h: { members: [a], rules: [{ id: y, type: default, action: deny }, { id: x, type: default, action: deny }] }\nclients:\n  a: { rules: [{ id: y, type: default, action: deny }] }\n`,
    problems: [
      `p.yaml:4:70: rule id "x" is also that of p.yaml:3:30; groups "g" and "h" have a member in common: choose another id`,
      `p.yaml:6:16: rule id "y" is also that of p.yaml:4:30; client "a" also gets that one from group "h": choose another id`,
    ],
  },
  {
    name: "tests",
    text: `version: "1.0"\nclients: { a: }\ntests:\n  - { client: b, dst: 10.0.0.1, proto: tcp, port: 443, expect: allow }\n  - { client: a, dst: 10.0.0.0/8, proto: tcp, port: 443, expect: allow }\n  - { client: a, dst: 10.0.0.1, proto: tcp, expect: allow }\n  - { client: a, dst: 10.0.0.1, proto: icmp, port: 1, expect: allow }\n  - { client: a, dst: 10.0.0.1, proto: tpc, port: 70000, expect: pass, at: now }\n  - { client: a, dst: 10.0.0.1, proto: udp, port: 53, icmp_type: 8, expect: allow }\n  - 5\n`,
    problems: [
      `p.yaml:4:5: the test asks about "b", who is not a client; did you mean "a"?`,
      "p.yaml:5:5: dst is a prefix; a flow goes to one address",
      "p.yaml:6:5: tcp needs a port",
      "p.yaml:7:5: icmp has no ports; remove the port",
      `p.yaml:8:40: "tpc" is not a protocol; did you mean "tcp"?`,
      "p.yaml:8:51: found the number 70000; expected at most 65535",
      `p.yaml:8:66: found the string "pass"; expected allow or deny`,
      `p.yaml:8:76: "now" is not a point in time; expected a date, a time and an offset, such as 2026-12-31T18:00:00+01:00 or 2026-12-31T17:00:00Z`,
      "p.yaml:9:5: udp has no ICMP type; remove the ICMP type",
      "p.yaml:10:5: found the number 5; expected a mapping",
    ],
  },
  {
    name: "tests is mapping",
    text: `version: "1.0"\nclients: {}\ntests: {}\n`,
    problems: ["p.yaml:3:8: found a mapping; expected a list of tests"],
  },
  {
    name: "include in text",
    text: `version: "1.0"\nclients: {}\ninclude: [other.yaml]\n`,
    problems: ["p.yaml:3:1: only a policy that is a file can include files"],
  },
  {
    name: "metadata",
    text: `version: "1.0"\nmetadata: x\nclients: {}\n`,
    problems: [`p.yaml:2:11: found the string "x"; expected a mapping`],
  },
  {
    name: "include string",
    text: `version: "1.0"\nclients: {}\ninclude: other.yaml\n`,
    problems: [
      "p.yaml:3:1: only a policy that is a file can include files",
      `p.yaml:3:10: found the string "other.yaml"; expected a list`,
    ],
  },
  {
    name: "deep nesting",
    text: `version: "1.0"\nmetadata: ${"[".repeat(40)}${"]".repeat(40)}\nclients: {}\n`,
    problems: ["p.yaml:2:42: this is not YAML: nesting exceeded maxDepth (32)"],
  },
  {
    name: "several at once",
    text: `version: "1.1"\ndefault_actoin: deny\nclients:\n  a:\n    rules:\n      - { id: x, type: ip_cidr, action: allow, destinations: [10.0.0.0/33, web] }\n      - { id: x, type: default, action: alow }\ntests:\n  - { client: a, dst: 10.0.0.1, proto: tcp, port: 80, expect: yes }\n`,
    problems: [
      `p.yaml:1:10: this version of the policy language is not known; expected version: "1.0"`,
      `p.yaml:2:1: unknown key "default_actoin"; did you mean "default_action"?`,
      `p.yaml:6:63: "10.0.0.0/33" has no prefix length from 0 to 32 after its slash`,
      `p.yaml:7:41: found the string "alow"; did you mean "allow"?`,
      `p.yaml:9:63: found the string "yes"; expected allow or deny`,
    ],
  },
];

for (const { name, text, problems } of REFUSED) {
  test(`refused: ${name}`, () => {
    assert.deepEqual(problemsOf(text), problems);
  });
}

const VERSION_1_0 = `version: "1.0"
metadata: { name: example, description: IP-based ACL }
default_action: deny
clients:
  client-1:
    description: Restricted
    rules:
      - { id: allow-dns, type: ip_cidr, action: allow, destinations: [8.8.8.8/32, 1.1.1.1/32], metadata: { reason: DNS } }
      - { id: deny-default, type: default, action: deny }
`;

test("version 1.0 keeps its meaning", () => {
  const document = parsePolicy(VERSION_1_0);
  assert.deepEqual(document.metadata, { name: "example", description: "IP-based ACL" });
  assert.equal(document.defaultAction, "deny");
  const rules = document.clients.get("client-1")?.rules ?? [];
  const seen = rules.map(({ id, action, destinations, ports, time, reason }) => ({
    id,
    action,
    destinations,
    ports,
    time,
    reason,
  }));
  assert.deepEqual(seen, [
    {
      id: "allow-dns",
      action: "allow",
      destinations: [
        { version: 4, w0: 0, w1: 0, w2: 0, w3: 0x08080808, length: 32 },
        { version: 4, w0: 0, w1: 0, w2: 0, w3: 0x01010101, length: 32 },
      ],
      ports: undefined,
      time: undefined,
      reason: "DNS",
    },
    {
      id: "deny-default",
      action: "deny",
      destinations: undefined,
      ports: undefined,
      time: undefined,
      reason: undefined,
    },
  ]);
});

test("the whole language is read", () => {
  const document = parsePolicy(`version: 1.0
default_action: allow
destinations:
  dns: [8.8.8.8, "2001:4860:4860::8888"]
  all: [dns, 10.0.0.0/8]
groups:
  staff:
    members: [alice, bob]
    max_sessions: 3
    rate_limit: { up: 10M, down: 2000000 }
    rules:
      - id: office
        type: ip_cidr
        action: allow
        destinations: [all]
        ports: [tcp/443, udp/8000-8100, tcp/*, icmp, icmpv6/echo-request, proto/47]
        not_before: 2026-01-01T00:00:00Z
        not_after: 2027-01-01T00:00:00+01:00
        schedule: { days: [mon-thu, sat], hours: ["08:00-12:00", "22:00-06:00"], timezone: Europe/Berlin }
        log: true
        description: Office hours
clients:
  alice:
  bob: { enabled: false, max_sessions: 1 }
tests:
  - { client: alice, dst: 8.8.8.8, proto: 47, expect: allow, at: 2026-06-01T08:30:00Z, rule: office }
`);
  assert.equal(document.defaultAction, "allow");
  const staff = document.groups.get("staff");
  assert.deepEqual(staff?.limits, { maxSessions: 3, upBitsPerSecond: 10_000_000, downBitsPerSecond: 2_000_000 });
  assert.deepEqual(
    staff.members.map(({ name }) => name),
    ["alice", "bob"],
  );
  const rule = staff.rules[0];
  assert.equal(rule?.destinations?.length, 3);
  assert.deepEqual(rule.ports, [
    { protocol: 6, ranged: true, from: 443, to: 443 },
    { protocol: 17, ranged: true, from: 8000, to: 8100 },
    { protocol: 6, ranged: false, from: 0, to: 65535 },
    { protocol: 1, ranged: false, from: 0, to: 65535 },
    { protocol: 58, ranged: true, from: 128, to: 128 },
    { protocol: 47, ranged: false, from: 0, to: 65535 },
  ]);
  assert.deepEqual(rule.time, {
    notBefore: Date.UTC(2026, 0, 1),
    notAfter: Date.UTC(2026, 11, 31, 23),
    windows: [
      {
        days: 0b0101_1110,
        hours: [
          { from: 480, to: 720 },
          { from: 1320, to: 360 },
        ],
        timezone: "Europe/Berlin",
      },
    ],
  });
  assert.equal(rule.log, true);
  assert.equal(rule.reason, "Office hours");
  assert.equal(document.clients.get("alice")?.enabled, true);
  assert.equal(document.clients.get("bob")?.enabled, false);
  assert.equal(document.tests[0]?.rule, "office");
});

test("aliases and names that stand for very much are refused, and quickly", () => {
  const names = [
    "a: [10.0.0.1]",
    ..."bcdefghi".split("").map((name, index) => `${name}: [${`${"abcdefgh"[index]}, `.repeat(10)}]`),
  ];
  const destinations = `version: "1.0"\ndestinations:\n  ${names.join("\n  ")}\nclients: {}\n`;
  assert.match(problemsOf(destinations).join(), /have more than 1000000 pairs/);
  const many = (text: string): string => `[${`${text}, `.repeat(1_001)}]`;
  const pairs = withRule(
    `{ id: x, type: ip_cidr, action: allow, destinations: ${many("10.0.0.1")}, ports: ${many("tcp/1")} }`,
  );
  assert.match(problemsOf(pairs).join(), /more than 1000000 pairs/);
  const levels = Array.from(
    { length: 20 },
    (_, level) => `  l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(9)}]`,
  );
  const aliases = `version: "1.0"\nmetadata:\n  l0: &l0 [x]\n${levels.join("\n")}\nclients: {}\n`;
  assert.match(problemsOf(aliases).join(), /more than 4000000 values/);
});
