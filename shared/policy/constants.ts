/** Limits of policies, and the numbers that the policy language is made of. */

// Files

/** All files of a policy together, bytes. 100,000 rules in the longest style are about 15 MB. */
export const MAX_POLICY_BYTES = 32 * 1024 * 1024;
/** Files that one policy may consist of. */
export const MAX_POLICY_FILES = 100;
/** Files that include files that include files. */
export const MAX_INCLUDE_DEPTH = 8;

/** Problems that one policy reports; the rest would only scroll the first ones away. */
export const MAX_PROBLEMS = 100;
/** Problems that may come with a "did you mean …?" over all names of a policy: 10,000 names take some 10 ms. */
export const MAX_SUGGESTIONS = 20;
/** Names among which a misspelt one is looked for. */
export const MAX_SUGGESTED_NAMES = 20_000;

// The compiled form

/**
 * Destinations of all rules, each times the rule's entries under `ports`, names counted as what they stand for.
 * Each costs about 100 bytes and a microsecond to compile.
 */
export const MAX_RULE_DESTINATIONS = 1_000_000;
/**
 * Candidates in lists of rules with time conditions. Only rules that differ in their conditions and overlap in
 * destination and ports share such a list; two million of them say that something went wrong.
 */
export const MAX_TIMED_CANDIDATES = 2_000_000;
/**
 * Rules of a prefix that are copied down to the longer ones inside it, so that one record answers. Where there
 * are more, the lookup goes on to the record of the shorter prefix (measured with bench/policy.ts).
 */
export const MAX_INHERITED_RULES = 4;
/** Bits that one trie node branches by: 2^16 slots are 256 KB. */
export const MAX_STRIDE = 16;

/** Pairs of an address segment and a rule that covers it, in a comparison of policies: some ten seconds. */
export const MAX_COMPARISON_STEPS = 20_000_000;

/** The same for a summary in passing, which a relay makes on its packet thread: some 10 ms. */
export const MAX_SUMMARY_STEPS = 10_000;
/** Rules of both policies together that are compared in passing. */
export const MAX_SUMMARY_RULES = 4_000;
/** Lines of a summary. */
export const MAX_SUMMARY_LINES = 50;

/** Groups that one client is in: each of them is looked through for a verdict. */
export const MAX_GROUPS_OF_CLIENT = 64;

// Names and texts

/** Characters of the name of a client, group or destination, and of a rule's id. */
export const MAX_NAME_LENGTH = 253;
/** Names of destinations that stand for names that stand for names. */
export const MAX_NAME_DEPTH = 16;
/** Characters of a description or reason. */
export const MAX_TEXT_LENGTH = 1_024;
/** Sessions of one client. */
export const MAX_SESSIONS_LIMIT = 1_000_000;
/** Bits per second: 1 Tbit/s. */
export const MAX_RATE = 1_000_000_000_000;

// Protocols

/** The largest port (RFC 9293 section 3.1). */
export const MAX_PORT = 65_535;
/** The largest ICMP type (RFC 792, RFC 4443 section 2.1). */
export const MAX_ICMP_TYPE = 255;
/** The largest IANA protocol number. */
export const MAX_PROTOCOL = 255;

// Time

export const MINUTES_A_DAY = 24 * 60;
/** Days, hours or windows in one schedule. Each costs some microseconds whenever the schedule may change. */
export const MAX_WINDOW_PARTS = 32;
/** Different schedules in one policy: asking all of them for their next change takes some 100 ms. */
export const MAX_SCHEDULES = 1_000;
/** Days searched for the next change of a schedule: a week, and a day for what a clock change moves. */
export const SCHEDULE_HORIZON_DAYS = 8;
