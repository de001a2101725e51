/**
 * When a rule is in force: `not_before`, `not_after` and weekly windows on the wall clock of a time zone.
 *
 * A window holds as long as the wall clock shows a time in it. So an hour that the clock skips in spring is
 * skipped, and one that it shows twice in autumn counts twice. `22:00-06:00` belongs to the day it begins on.
 */
import { type UnixMs, unixMs } from "../units.ts";
import { nearestName } from "../yaml/suggestion.ts";
import { Complaint, quoted } from "./complaint.ts";
import { MINUTES_A_DAY, SCHEDULE_HORIZON_DAYS } from "./constants.ts";

/** Minutes since midnight; `to` is exclusive, and before `from` when the range goes over midnight. */
export interface HourRange {
  readonly from: number;
  readonly to: number;
}

export interface WeeklyWindow {
  /** Bit 1 is Monday, bit 7 is Sunday (ISO 8601). */
  readonly days: number;
  readonly hours: readonly HourRange[];
  /** IANA name, such as `Europe/Berlin`. */
  readonly timezone: string;
}

/** In force from `notBefore` until just before `notAfter`, and, where there are windows, in one of them. */
export interface TimeCondition {
  readonly notBefore: UnixMs | undefined;
  readonly notAfter: UnixMs | undefined;
  readonly windows: readonly WeeklyWindow[];
}

/** Holds from the time asked for until just before `until`; undefined: forever. */
export interface TimeState {
  readonly active: boolean;
  readonly until: UnixMs | undefined;
}

/** Whether the condition holds at a time, and how long that stays so. */
export function timeStateAt(condition: TimeCondition, at: UnixMs): TimeState {
  const { notBefore, notAfter, windows } = condition;
  if (notAfter !== undefined && at >= notAfter) return { active: false, until: undefined };
  if (notBefore !== undefined && at < notBefore) return { active: false, until: notBefore };
  if (windows.length === 0) return { active: true, until: notAfter };
  const weekly = weeklyStateAt(windows, at);
  const until = notAfter !== undefined && notAfter < weekly.until ? notAfter : weekly.until;
  return { active: weekly.active, until };
}

/** As `timeStateAt`; without a change within the horizon, the horizon is given. */
function weeklyStateAt(windows: readonly WeeklyWindow[], at: UnixMs): { active: boolean; until: UnixMs } {
  const active = windows.some((window) => holdsAt(window, at));
  const candidates = [...new Set(windows.flatMap((window) => changeCandidates(window, at)))].sort((a, b) => a - b);
  for (const candidate of candidates) {
    if (windows.some((window) => holdsAt(window, candidate)) !== active) return { active, until: unixMs(candidate) };
  }
  return { active, until: unixMs(at + SCHEDULE_HORIZON_DAYS * MINUTES_A_DAY * 60_000) };
}

function holdsAt(window: WeeklyWindow, at: number): boolean {
  const clock = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(window.timezone);
  const minute = clock.hour * 60 + clock.minute;
  const today = clock.dayOfWeek;
  const yesterday = today === 1 ? 7 : today - 1;
  return window.hours.some(({ from, to }) => {
    if (from < to) return hasDay(window.days, today) && minute >= from && minute < to;
    return (hasDay(window.days, today) && minute >= from) || (hasDay(window.days, yesterday) && minute < to);
  });
}

function hasDay(days: number, day: number): boolean {
  return ((days >> day) & 1) === 1;
}

/** Every time after `at` and within the horizon at which the window may begin or end. */
function changeCandidates(window: WeeklyWindow, at: UnixMs): number[] {
  const now = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(window.timezone);
  const horizon = now.add({ days: SCHEDULE_HORIZON_DAYS });
  const candidates: number[] = [];
  const consider = (moment: Temporal.ZonedDateTime): void => {
    const time = moment.epochMilliseconds;
    if (time > at && time <= horizon.epochMilliseconds) candidates.push(time);
  };
  let transition = now.getTimeZoneTransition("next");
  while (transition !== null && transition.epochMilliseconds <= horizon.epochMilliseconds) {
    consider(transition);
    transition = transition.getTimeZoneTransition("next");
  }
  for (let offset = 0; offset <= SCHEDULE_HORIZON_DAYS; offset++) {
    const day = now.toPlainDate().add({ days: offset });
    for (const minute of window.hours.flatMap(({ from, to }) => [from, to % MINUTES_A_DAY])) {
      const wall = day.toPlainDateTime({ hour: Math.floor(minute / 60), minute: minute % 60 });
      // A wall-clock time that comes twice is a change twice.
      for (const disambiguation of ["earlier", "later"] as const) {
        consider(wall.toZonedDateTime(window.timezone, { disambiguation }));
      }
    }
  }
  return candidates;
}

const TIMESTAMP = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})$/;

/** Reads an RFC 3339 timestamp; its offset must be there, because a file has no time zone of its own. */
export function parseTimestamp(text: string): UnixMs | Complaint {
  const hint = "expected a date, a time and an offset, such as 2026-12-31T18:00:00+01:00 or 2026-12-31T17:00:00Z";
  if (!TIMESTAMP.test(text)) return new Complaint(`${quoted(text)} is not a point in time`, hint);
  try {
    return unixMs(Temporal.Instant.from(text).epochMilliseconds);
  } catch {
    return new Complaint(`${quoted(text)} is a point in time that no calendar has`, hint);
  }
}

const DAY_NAMES = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Reads `mon` or `mon-fri` into a bit set; `fri-mon` goes over the weekend. */
export function parseDays(text: string): number | Complaint {
  const [first = "", last = first, ...rest] = text.toLowerCase().split("-");
  const from = DAY_NAMES.indexOf(first) + 1;
  const to = DAY_NAMES.indexOf(last) + 1;
  if (from === 0 || to === 0 || rest.length > 0) {
    return new Complaint(`${quoted(text)} is not a day of the week`, () => {
      const nearest = nearestName(text.slice(0, 3), DAY_NAMES);
      if (nearest !== undefined) return `did you mean "${nearest}"?`;
      return "expected mon, tue, wed, thu, fri, sat, sun or a range such as mon-fri";
    });
  }
  let days = 0;
  for (let day = from; ; day = (day % 7) + 1) {
    days |= 1 << day;
    if (day === to) return days;
  }
}

const HOURS = /^([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)$/;

/** Reads `08:00-18:00`; `24:00` is the end of the day. */
export function parseHours(text: string): HourRange | Complaint {
  const hint = "expected a range such as 08:00-18:00, 22:00-06:00 or 00:00-24:00";
  const match = HOURS.exec(text);
  if (match === null) return new Complaint(`${quoted(text)} is not a range of hours`, hint);
  const from = Number(match[1]) * 60 + Number(match[2]);
  const to = Number(match[3]) * 60 + Number(match[4]);
  if (from >= MINUTES_A_DAY || to > MINUTES_A_DAY) return new Complaint(`${quoted(text)} goes beyond 24:00`, hint);
  if (from === to) return new Complaint(`${quoted(text)} is empty`, hint);
  return { from, to };
}

/** The name itself when this runtime knows the time zone. */
export function parseTimezone(text: string): string | Complaint {
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(text).timeZoneId;
  } catch {
    return new Complaint(`${quoted(text)} is not a time zone`, () => {
      const nearest = nearestName(text, Intl.supportedValuesOf("timeZone"));
      return nearest === undefined
        ? "expected an IANA name such as Europe/Berlin or UTC"
        : `did you mean "${nearest}"?`;
    });
  }
}
