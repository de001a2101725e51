/**
 * The shape of a policy file. From this one schema come the checks, the TypeScript types and
 * `docs/policy.schema.json` for editors.
 *
 * The message of an `unrecognized_keys` issue lists the keys that are known: `schema-problem.ts` makes the
 * "did you mean …?" of it.
 */
import * as z from "zod";
import { parsePrefix } from "./address.ts";
import type { Prefix } from "./address.ts";
import { Complaint, quoted } from "./complaint.ts";
import {
  MAX_ICMP_TYPE,
  MAX_NAME_LENGTH,
  MAX_PORT,
  MAX_PROTOCOL,
  MAX_RATE,
  MAX_SESSIONS_LIMIT,
  MAX_TEXT_LENGTH,
  MAX_WINDOW_PARTS,
} from "./constants.ts";
import { parsePortSelector, parseProtocol } from "./port-selector.ts";
import { parseDays, parseHours, parseTimestamp, parseTimezone } from "./schedule.ts";

/** A string that `parse` turns into a value; its complaint goes with the issue. */
function parsed<Value>(parse: (text: string) => Value | Complaint) {
  return z.string().transform((text, context): Value => {
    const value = parse(text);
    if (!(value instanceof Complaint)) return value;
    context.addIssue({ code: "custom", message: value.message, params: { complaint: value } });
    return z.NEVER;
  });
}

function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(" ");
  return z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? known : undefined) });
}

function oneOrMany<Schema extends z.ZodType>(schema: Schema, expected: string) {
  return z
    .union([schema, z.array(schema).min(1).max(MAX_WINDOW_PARTS)], { error: expected })
    .transform((value) => (Array.isArray(value) ? value : [value]));
}

/** A destination's name begins with a letter and has no colon or slash, so it is no address. */
const DESTINATION_NAME = /^[A-Za-z][A-Za-z0-9_.-]*$/;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** A name as a complaint or itself: of a client, a group, a rule. */
export function parseName(text: string): string | Complaint {
  if (text === "") return new Complaint("an empty name", "expected at least one character");
  if (text.length > MAX_NAME_LENGTH) return new Complaint(`a name longer than ${MAX_NAME_LENGTH} characters`);
  if (CONTROL.test(text)) return new Complaint(`the name ${quoted(text)} has control characters`);
  if (text.trim() !== text) return new Complaint(`the name ${quoted(text)} begins or ends with a space`);
  return text;
}

export function parseDestinationName(text: string): string | Complaint {
  if (text.length <= MAX_NAME_LENGTH && DESTINATION_NAME.test(text)) return text;
  return new Complaint(
    `${quoted(text)} cannot be the name of a destination`,
    "expected a letter, then letters, digits, dots, dashes and underscores",
  );
}

/** A prefix, or the name of a destination. */
function parseDestination(text: string): Prefix | string | Complaint {
  return DESTINATION_NAME.test(text) ? parseDestinationName(text) : parsePrefix(text);
}

const RATE = /^([1-9][0-9]{0,11})([kMGT]?)$/;
const RATE_UNITS = new Map([
  ["", 1],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["T", 1e12],
]);

function parseRate(text: string): number | Complaint {
  const match = RATE.exec(text);
  const rate = match === null ? 0 : Number(match[1]) * (RATE_UNITS.get(match[2] ?? "") ?? 0);
  if (rate >= 1 && rate <= MAX_RATE) return rate;
  return new Complaint(
    `${quoted(text)} is not a rate`,
    "expected bits per second from 1 to 1T, such as 500k, 10M or 1G",
  );
}

const name = parsed(parseName);
const text = z.string().max(MAX_TEXT_LENGTH);
const action = z.enum(["allow", "deny"]);
const metadata = z
  .record(z.string(), z.unknown())
  .describe("Free notes. A rule's `reason` is shown with its verdicts.");
const timestamp = parsed(parseTimestamp);
const destination = parsed(parseDestination);
const sessions = z.int().min(1).max(MAX_SESSIONS_LIMIT).describe("Sessions that one client may have at a time.");
const rate = z
  .union([z.int().min(1).max(MAX_RATE), parsed(parseRate)], { error: "expected bits per second, such as 10M" })
  .describe("Bits per second: a number, or one with k, M, G or T.");
const rateLimit = strict({ up: rate.optional(), down: rate.optional() }).describe(
  "Bits per second of one client: `up` from the client, `down` to it.",
);

const schedule = strict({
  days: oneOrMany(parsed(parseDays), "expected days such as [mon, wed-fri]")
    .optional()
    .describe("Days or ranges of days: mon, wed-fri. Every day when absent."),
  hours: oneOrMany(parsed(parseHours), "expected hours such as 08:00-18:00")
    .optional()
    .describe("Ranges of hours on the wall clock: 08:00-18:00. All day when absent."),
  timezone: parsed(parseTimezone).describe("IANA time zone, such as Europe/Berlin."),
});

/** One rule. What depends on several of its keys is checked in `parse.ts`. */
export const ruleSchema = strict({
  id: name.describe("Names the rule in verdicts and audit records; unique among the rules of a client."),
  type: z.enum(["ip_cidr", "default"]).describe("`ip_cidr` matches `destinations`; `default` matches every address."),
  action: action.describe("What happens to what the rule matches."),
  destinations: z
    .array(destination)
    .min(1)
    .optional()
    .describe("Addresses, prefixes, or names from the top-level `destinations`."),
  ports: z
    .array(parsed(parsePortSelector))
    .min(1)
    .optional()
    .describe(
      "Protocols with ports or ICMP types: tcp/443, udp/8000-8100, tcp/*, icmp/echo-request, proto/47. Every protocol when absent.",
    ),
  enabled: z.boolean().optional().describe("`false`: as if the rule were not there."),
  not_before: timestamp.optional().describe("In force from this time on (RFC 3339 with an offset)."),
  not_after: timestamp.optional().describe("In force until just before this time (RFC 3339 with an offset)."),
  schedule: oneOrMany(schedule, "expected days, hours and a timezone")
    .optional()
    .describe("In force in these weekly windows."),
  log: z
    .boolean()
    .optional()
    .describe("Whether flows that this rule decides are recorded; the relay's setting when absent."),
  description: text.optional(),
  metadata: metadata.optional(),
});

/** A client without its `rules`. */
export const clientSchema = strict({
  description: text.optional(),
  enabled: z.boolean().optional().describe("`false`: the client is refused."),
  max_sessions: sessions.optional(),
  rate_limit: rateLimit.optional(),
  metadata: metadata.optional(),
  rules: z.array(z.unknown()).optional(),
});

/** A group without its `rules`. */
export const groupSchema = strict({
  description: text.optional(),
  enabled: z.boolean().optional().describe("`false`: as if the group were not there."),
  members: z.array(name).describe("Names of clients."),
  max_sessions: sessions.optional(),
  rate_limit: rateLimit.optional(),
  metadata: metadata.optional(),
  rules: z.array(z.unknown()).optional(),
});

export const destinationSchema = z
  .array(destination)
  .min(1)
  .describe("Addresses, prefixes, or names of other destinations.");

export const testSchema = strict({
  name: text.optional().describe("What the test shows."),
  client: name,
  dst: parsed(parsePrefix).describe("One address."),
  proto: z
    .union([z.int().min(0).max(MAX_PROTOCOL), parsed(parseProtocol)], { error: "expected a protocol such as tcp" })
    .describe("tcp, udp, sctp, dccp, udplite, icmp, icmpv6 or a protocol number."),
  port: z.int().min(0).max(MAX_PORT).optional().describe("Destination port; needed when the protocol has ports."),
  icmp_type: z.int().min(0).max(MAX_ICMP_TYPE).optional().describe("ICMP type; echo request when absent."),
  at: timestamp.optional().describe("When the packet comes; now when absent."),
  expect: action,
  rule: name.optional().describe("Id of the rule that must decide, or `default_action`."),
});

const shared = {
  metadata: metadata.optional(),
  include: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe("Other policy files, relative to this one, read as if they stood here."),
};

/** The outermost level of a file, everything below named sections still unchecked. */
export const fileSchema = strict({
  version: z.unknown().optional(),
  default_action: action.optional(),
  ...shared,
  destinations: z.unknown().optional(),
  groups: z.unknown().optional(),
  clients: z.unknown().optional(),
  tests: z.unknown().optional(),
});

const rules = z
  .array(ruleSchema.meta({ id: "rule" }))
  .optional()
  .describe("The first rule that matches decides.");

/** A whole file, for `docs/policy.schema.json`. */
export const policySchema = strict({
  version: z.literal("1.0").describe("Version of the policy language."),
  default_action: action.optional().describe("What happens when no rule matches: `deny` when absent."),
  ...shared,
  destinations: z.record(z.string(), destinationSchema).optional().describe("Names for lists of addresses."),
  groups: z
    .record(z.string(), groupSchema.extend({ rules }).meta({ id: "group" }))
    .optional()
    .describe("Rules for several clients, tried after a client's own, in this order."),
  clients: z
    .record(z.string(), clientSchema.extend({ rules }).meta({ id: "client" }).nullable())
    .optional()
    .describe("Every client that may connect, by the name in its certificate."),
  tests: z
    .array(testSchema.meta({ id: "test" }))
    .optional()
    .describe("Verdicts that must come out, or the policy is not loaded."),
});

export type ParsedRule = z.output<typeof ruleSchema>;
export type ParsedClient = z.output<typeof clientSchema>;
export type ParsedTest = z.output<typeof testSchema>;
