/**
 * Weekly windows against the calendar. Europe/Berlin in 2026: on 29 March the clock goes from 02:00 to 03:00
 * (01:00 UTC), on 25 October from 03:00 back to 02:00 (01:00 UTC).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { unixMs } from "../units.ts";
import { Complaint } from "./complaint.ts";
import { parseDays, parseHours, parseTimestamp, parseTimezone, type TimeCondition, timeStateAt } from "./schedule.ts";

const EVERY_DAY = 0b1111_1110;

function weekly(days: string, hours: string, timezone = "Europe/Berlin"): TimeCondition {
  const set = parseDays(days);
  const range = parseHours(hours);
  assert.ok(!(set instanceof Complaint) && !(range instanceof Complaint));
  return { notBefore: undefined, notAfter: undefined, windows: [{ days: set, hours: [range], timezone }] };
}

function stateAt(condition: TimeCondition, at: string): string {
  const { active, until } = timeStateAt(condition, unixMs(Date.parse(at)));
  return `${active ? "on" : "off"} until ${until === undefined ? "forever" : new Date(until).toISOString()}`;
}

const CASES: readonly { name: string; condition: TimeCondition; at: string; state: string }[] = [
  {
    name: "winter morning before",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-01-05T06:59:59.999Z",
    state: "off until 2026-01-05T07:00:00.000Z",
  },
  {
    name: "winter, the first moment",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-01-05T07:00:00Z",
    state: "on until 2026-01-05T17:00:00.000Z",
  },
  {
    name: "winter, the end",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-01-05T17:00:00Z",
    state: "off until 2026-01-06T07:00:00.000Z",
  },
  {
    name: "over the weekend",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-01-09T20:00:00Z",
    state: "off until 2026-01-12T07:00:00.000Z",
  },
  {
    name: "over the weekend on which the clock goes forward",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-03-27T20:00:00Z",
    state: "off until 2026-03-30T06:00:00.000Z",
  },
  {
    name: "over the weekend on which the clock goes back",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-10-23T20:00:00Z",
    state: "off until 2026-10-26T07:00:00.000Z",
  },
  {
    name: "summer",
    condition: weekly("mon-fri", "08:00-18:00"),
    at: "2026-07-06T06:00:00Z",
    state: "on until 2026-07-06T16:00:00.000Z",
  },
  {
    name: "a window inside the skipped hour never opens",
    condition: weekly("sun", "02:15-02:45"),
    at: "2026-03-29T00:30:00Z",
    state: "off until 2026-04-05T00:15:00.000Z",
  },
  {
    name: "a window that begins in the skipped hour opens behind it",
    condition: weekly("sun", "02:30-03:30"),
    at: "2026-03-29T00:59:59Z",
    state: "off until 2026-03-29T01:00:00.000Z",
  },
  {
    name: "…and closes on time",
    condition: weekly("sun", "02:30-03:30"),
    at: "2026-03-29T01:00:00Z",
    state: "on until 2026-03-29T01:30:00.000Z",
  },
  {
    name: "a window that ends in the skipped hour ends with the skip",
    condition: weekly("sun", "01:30-02:30"),
    at: "2026-03-29T00:45:00Z",
    state: "on until 2026-03-29T01:00:00.000Z",
  },
  {
    name: "a window over the skipped hour is an hour shorter",
    condition: weekly("sun", "01:00-04:00"),
    at: "2026-03-29T00:00:00Z",
    state: "on until 2026-03-29T02:00:00.000Z",
  },
  {
    name: "a window over the repeated hour is an hour longer",
    condition: weekly("sun", "01:00-04:00"),
    at: "2026-10-24T23:00:00Z",
    state: "on until 2026-10-25T03:00:00.000Z",
  },
  {
    name: "a window inside the repeated hour comes the first time",
    condition: weekly("sun", "02:15-02:45"),
    at: "2026-10-25T00:00:00Z",
    state: "off until 2026-10-25T00:15:00.000Z",
  },
  {
    name: "…closes",
    condition: weekly("sun", "02:15-02:45"),
    at: "2026-10-25T00:20:00Z",
    state: "on until 2026-10-25T00:45:00.000Z",
  },
  {
    name: "…and comes a second time",
    condition: weekly("sun", "02:15-02:45"),
    at: "2026-10-25T00:50:00Z",
    state: "off until 2026-10-25T01:15:00.000Z",
  },
  {
    name: "a window that ends in the repeated hour opens again when the clock goes back",
    condition: weekly("sun", "01:00-02:30"),
    at: "2026-10-25T00:40:00Z",
    state: "off until 2026-10-25T01:00:00.000Z",
  },
  {
    name: "over midnight: the evening",
    condition: weekly("fri", "22:00-06:00"),
    at: "2026-01-09T21:00:00Z",
    state: "on until 2026-01-10T05:00:00.000Z",
  },
  {
    name: "over midnight: the morning belongs to the day before",
    condition: weekly("fri", "22:00-06:00"),
    at: "2026-01-10T04:59:00Z",
    state: "on until 2026-01-10T05:00:00.000Z",
  },
  {
    name: "over midnight: not the morning of the day itself",
    condition: weekly("fri", "22:00-06:00"),
    at: "2026-01-09T04:00:00Z",
    state: "off until 2026-01-09T21:00:00.000Z",
  },
  {
    name: "sunday into monday",
    condition: weekly("sun", "22:00-06:00"),
    at: "2026-01-12T04:00:00Z",
    state: "on until 2026-01-12T05:00:00.000Z",
  },
  {
    name: "whole days join",
    condition: weekly("sat-sun", "00:00-24:00"),
    at: "2026-01-10T12:00:00Z",
    state: "on until 2026-01-11T23:00:00.000Z",
  },
  {
    name: "the half-hour change of Lord Howe",
    condition: weekly("sun", "01:00-02:15", "Australia/Lord_Howe"),
    at: "2026-10-03T14:35:00Z",
    state: "on until 2026-10-03T15:30:00.000Z",
  },
  {
    name: "a zone without changes",
    condition: weekly("mon", "09:00-10:00", "Asia/Kolkata"),
    at: "2026-01-05T03:29:59Z",
    state: "off until 2026-01-05T03:30:00.000Z",
  },
];

for (const { name, condition, at, state } of CASES) {
  test(`${name}: ${at}`, () => {
    assert.equal(stateAt(condition, at), state);
  });
}

const from = unixMs(1_000);
const to = unixMs(2_000);
const BOUNDS: readonly { at: number; state: string }[] = [
  { at: 999, state: "off until 1970-01-01T00:00:01.000Z" },
  { at: 1_000, state: "on until 1970-01-01T00:00:02.000Z" },
  { at: 1_999, state: "on until 1970-01-01T00:00:02.000Z" },
  { at: 2_000, state: "off until forever" },
];

for (const { at, state } of BOUNDS) {
  test(`not_before 1000, not_after 2000, at ${at}`, () => {
    assert.equal(stateAt({ notBefore: from, notAfter: to, windows: [] }, new Date(at).toISOString()), state);
  });
}

test("not_after ends a window early", () => {
  const condition = { ...weekly("mon", "08:00-18:00"), notAfter: unixMs(Date.parse("2026-01-05T12:00:00Z")) };
  assert.equal(stateAt(condition, "2026-01-05T10:00:00Z"), "on until 2026-01-05T12:00:00.000Z");
  assert.equal(stateAt(condition, "2026-01-05T12:00:00Z"), "off until forever");
});

test("the state is that of Intl's wall clock, and holds until it is said to change", () => {
  const zone = fc.constantFrom(
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "UTC",
    "Pacific/Apia",
  );
  const minute = fc.integer({ min: 0, max: 95 }).map((quarter) => quarter * 15);
  const window = fc
    .tuple(fc.integer({ min: 1, max: 127 }), minute, minute, zone)
    .filter(([, from, to]) => from !== to)
    .map(([days, from, to, timezone]) => ({ days: days << 1, hours: [{ from, to }], timezone }));
  // Around the changes of March and October too.
  const start = fc
    .constantFrom("2026-01-05", "2026-03-27", "2026-03-06", "2026-10-23", "2026-10-30", "2026-04-03")
    .map((day) => Date.parse(day));
  const when = fc
    .tuple(start, fc.integer({ min: 0, max: 4 * 24 * 60 }))
    .map(([day, minutes]) => day + minutes * 60_000);
  fc.assert(
    fc.property(fc.array(window, { minLength: 1, maxLength: 2 }), when, (windows, at) => {
      const { active, until } = timeStateAt({ notBefore: undefined, notAfter: undefined, windows }, unixMs(at));
      assert.equal(
        active,
        windows.some((window) => intlHolds(window, at)),
      );
      assert.ok(until !== undefined && until > at);
      for (const share of [0.25, 0.5, 0.99]) {
        const between = at + Math.floor((until - at) * share);
        assert.equal(
          windows.some((window) => intlHolds(window, between)),
          active,
        );
      }
      assert.equal(
        windows.some((window) => intlHolds(window, until - 1)),
        active,
      );
    }),
    { numRuns: 300 },
  );
});

function intlHolds({ days, hours, timezone }: TimeCondition["windows"][number], at: number): boolean {
  const format = new Intl.DateTimeFormat("en-GB", {
    timeZone: timezone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const minute = Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
  const day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(parts.get("weekday") ?? "") + 1;
  const has = (day: number): boolean => ((days >> (day === 0 ? 7 : day)) & 1) === 1;
  return hours.some(({ from, to }) =>
    from < to
      ? has(day) && minute >= from && minute < to
      : (has(day) && minute >= from) || (has(day - 1) && minute < to),
  );
}

test("days, hours, timestamps and zones are read", () => {
  assert.equal(parseDays("mon"), 0b10);
  assert.equal(parseDays("Mon-Sun"), EVERY_DAY);
  assert.equal(parseDays("sat-mon"), 0b1100_0010);
  assert.deepEqual(parseHours("00:00-24:00"), { from: 0, to: 1440 });
  assert.deepEqual(parseHours("22:00-06:00"), { from: 1320, to: 360 });
  assert.equal(parseTimestamp("2026-01-01T01:00:00+01:00"), Date.UTC(2026, 0, 1));
  assert.equal(parseTimezone("europe/berlin"), "Europe/Berlin");
  for (const text of ["", "mo", "mon-", "mon-tue-wed", "mon,tue", "8"])
    assert.ok(parseDays(text) instanceof Complaint, text);
  for (const text of ["", "8:00-9:00", "08:00", "08:00-08:00", "24:00-01:00", "25:00-26:00", "08:60-09:00"])
    assert.ok(parseHours(text) instanceof Complaint, text);
  for (const text of ["", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "now"])
    assert.ok(parseTimestamp(text) instanceof Complaint, text);
  for (const text of ["", "Mars/Olympus", "CEST+"]) assert.ok(parseTimezone(text) instanceof Complaint, text);
});
