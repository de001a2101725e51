/** What is said of the policy in force and of attempts to replace it: to the log, the audit and the counters. */
import type { Logger } from "pino";
import { messageOf } from "../shared/errors.ts";
import type { AuditLog } from "./audit-log.ts";
import { COUNTER } from "./counters.ts";
import type { Counters } from "./counters.ts";
import type { LivePolicy, ReloadOutcome, ReloadTrigger } from "./live-policy.ts";

export class PolicyReports {
  readonly #log: Logger;
  readonly #audit: AuditLog;
  readonly #counters: Counters;
  /** What the last reload that was applied changed, in sentences. */
  changes: readonly string[] = [];
  /** Why the last reload was refused; undefined when it was not. */
  refusal: string | undefined;

  constructor(log: Logger, audit: AuditLog, counters: Counters) {
    this.#log = log;
    this.#audit = audit;
    this.#counters = counters;
  }

  /** The relay starts with this policy. */
  started(live: LivePolicy): void {
    this.#record(live, "start", "applied", [], []);
  }

  reloaded(live: LivePolicy, trigger: ReloadTrigger, outcome: ReloadOutcome): void {
    if (outcome.applied) {
      this.refusal = undefined;
      this.#counters.add(COUNTER.policyReloads.applied);
      this.changes = outcome.changes;
      this.#record(live, trigger, "applied", this.changes, []);
      this.#log.info({ generation: outcome.generation, trigger, changes: this.changes }, "policy was reloaded");
      return;
    }
    this.refusal = messageOf(outcome.error);
    this.#counters.add(COUNTER.policyReloads.refused);
    this.#record(live, trigger, "refused", [], this.refusal.split("\n"));
    this.#log.error(
      { generation: outcome.generation, trigger },
      `policy was refused, the old one stays:\n${this.refusal}`,
    );
  }

  #record(
    live: LivePolicy,
    trigger: ReloadTrigger,
    outcome: "applied" | "refused",
    changes: readonly string[],
    problems: readonly string[],
  ): void {
    this.#audit.policy({
      outcome,
      trigger,
      generation: live.generation,
      files: [...live.files],
      changes: [...changes],
      problems: [...problems],
    });
  }
}
