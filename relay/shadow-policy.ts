/**
 * A candidate policy beside the one in force: it decides nothing, and the audit's flow records say where it
 * would have decided otherwise.
 */
import type { FlowTarget } from "../shared/packet/flow.ts";
import type { Verdict } from "../shared/policy/compiled-policy.ts";
import { unixMs } from "../shared/units.ts";
import type { LivePolicy } from "./live-policy.ts";

export interface ShadowVerdict {
  readonly action: "allow" | "deny";
  readonly rule: string;
}

export class ShadowPolicy {
  readonly #live: LivePolicy;

  /** `live`: the candidate, which follows its file as the policy in force does. */
  constructor(live: LivePolicy) {
    this.#live = live;
  }

  /** What the candidate says to a flow now, where its action is another than that of `verdict`. */
  difference(client: string, target: FlowTarget, verdict: Verdict): ShadowVerdict | undefined {
    const policy = this.#live.current.client(client);
    const other = policy?.judge(target, unixMs(Date.now())) ?? this.#live.current.refusal;
    return other.action === verdict.action ? undefined : { action: other.action, rule: other.ruleId };
  }
}
