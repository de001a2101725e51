/**
 * A compiled policy as plain columns in memory that threads share: what one thread compiles, another puts in force
 * without a copy, in a time that does not grow with the policy. `CompiledPolicy` reads it.
 */
import type { TextColumns } from "./text-columns.ts";
import type { TimeColumns } from "./time-conditions.ts";

export interface PolicyImage {
  /** The matcher's, of all rule lists (`matcher-code.ts`). */
  readonly code: Int32Array<SharedArrayBuffer>;
  /** Two numbers a rule list: the roots of its IPv4 and IPv6 tries. */
  readonly roots: Int32Array<SharedArrayBuffer>;
  readonly verdicts: VerdictColumns;
  readonly clients: ClientColumns;
  readonly times: TimeColumns;
  /** Addresses that a rule allows and names alone, as text. */
  readonly hosts: TextColumns;
}

/** One entry a rule in force, in the order in which they are tried; the last two are `default_action` and the refusal. */
export interface VerdictColumns {
  readonly texts: TextColumns;
  /** `VERDICT_*` bits. */
  readonly flags: Uint8Array<SharedArrayBuffer>;
  /** Of the rule's id in `texts`. */
  readonly ids: Uint32Array<SharedArrayBuffer>;
  /** Of the reason in `texts`; with `VERDICT_UNEXPLAINED`, of whose rule it is. */
  readonly reasons: Uint32Array<SharedArrayBuffer>;
}

export const VERDICT_ALLOWS = 1;
/** The rule says whether to record its flows. */
export const VERDICT_HAS_LOG = 2;
export const VERDICT_LOGS = 4;
/** The rule gives no reason. */
export const VERDICT_UNEXPLAINED = 8;

/** One entry a client, by its number in `names`. */
export interface ClientColumns {
  readonly names: TextColumns;
  readonly enabled: Uint8Array<SharedArrayBuffer>;
  /** Three numbers each, as in `Limits`; NaN is no limit. */
  readonly limits: Float64Array<SharedArrayBuffer>;
  /** Behind the last of its rule lists in `lists`. */
  readonly listEnds: Uint32Array<SharedArrayBuffer>;
  /** Numbers of rule lists, in the order in which they are tried. */
  readonly lists: Uint32Array<SharedArrayBuffer>;
}
